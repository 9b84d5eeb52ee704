"""`--rerun`: a finished run is done again on purpose, and nothing of the old one is lost."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.store.runs import Store

TINY = [
    "--columns", "faces", "--seeds", "0", "--set", "train.steps=4", "--set", "train.batch=4",
    "--set", "protocol.every=4", "--set", "columns.faces.generated=48",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained_once(bench_command, tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    done = bench_command("run", "table1", "--rows", "scratch", "--jobs", "1", *TINY, BENCH_STORE=str(root))
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def trained(trained_once, store_root):
    shutil.copytree(trained_once, store_root)
    return Store(store_root)


@pytest.mark.slow
def test_a_finished_run_is_done_again_and_the_old_one_kept(trained, bench_command, store_root):
    (old,) = [run for run in trained if run.spec().kind == "train"]
    points = {run.uid: run.result()["seconds"] for run in trained if run.spec().kind == "reference"}
    before = (old.path / "metrics.jsonl").read_bytes()
    weights = old.result()["weights_sha256"]
    (old.path / "metrics.jsonl").write_bytes(before + b" ")  # so that the old folder can be told from the new one

    plan = bench_command("plan", "table1", "--rows", "scratch", "--rerun", *TINY)
    assert "(1 done)" not in plan.stdout and "; 1 to start" in plan.stdout and f"{old.uid}" in plan.stdout
    assert old.status() == "done", "a plan moves nothing"

    done = bench_command("run", "table1", "--rows", "scratch", "--jobs", "1", "--rerun", *TINY)
    assert done.returncode == 0, done.stderr
    assert "done again: 1 finished run; what was there is kept in" in done.stdout
    (kept,) = (store_root / "set-aside").iterdir()
    assert kept.name.startswith(old.uid + ".")
    assert (kept / "metrics.jsonl").read_bytes() == before + b" "
    assert json.loads((kept / "set-aside.json").read_text())["why"] == "bench --rerun"
    assert old.status() == "done" and old.result()["weights_sha256"] == weights
    assert [line["value"] for line in old.metrics()] == [json.loads(one)["value"] for one in before.splitlines()]
    assert {run.uid: run.result()["seconds"] for run in trained if run.spec().kind == "reference"} == points

    again = bench_command("run", "table1", "--rows", "scratch", "--jobs", "1", *TINY)
    assert "; 0 to start" in again.stdout and len(list((store_root / "set-aside").iterdir())) == 1


def test_a_run_at_work_is_left_alone_with_one_clear_line(trained, bench_command, store_root):
    (old,) = [run for run in trained if run.spec().kind == "train"]
    (old.path / "result.json").unlink()
    old.beat("running", 1, 4, 1.0)
    done = bench_command("run", "table1", "--rows", "scratch", "--jobs", "1", "--rerun", *TINY)
    assert done.returncode == 2
    assert done.stderr.startswith(f"bench: error: --rerun: scratch · faces · seed 0 ({old.uid}) is at work; ")
    assert len(done.stderr.splitlines()) == 1 and not (store_root / "set-aside").exists()


def test_a_leased_run_is_not_moved(trained, bench_command, store_root):
    (old,) = [run for run in trained if run.spec().kind == "train"]
    with old.lease():
        done = bench_command("run", "table1", "--rows", "scratch", "--jobs", "1", "--rerun", *TINY)
    assert done.returncode == 2 and f"run '{old.uid}' is at work; `bench cancel" in done.stderr
    assert old.status() == "done" and not (store_root / "set-aside").exists()
