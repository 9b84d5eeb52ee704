"""The verbs for runs that are elsewhere, where there is no cluster, or one of a few lines of shell."""

from __future__ import annotations

import json
import os
import re

import pytest

from bench.features.known import OURS
from bench.features.weights import UserWeights
from bench.launch.slurm.records import ArrayRecord, Submission, save
from bench.store.runs import Store


@pytest.fixture
def says(tmp_path):
    """An environment whose cluster commands say what they are told to."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def command(**scripts):
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    return command


@pytest.fixture
def submitted(store_root, tiny_spec):
    store, spec = Store(store_root), tiny_spec()
    store.open(spec)
    array = ArrayRecord(name="bench-x-0", jobs=((spec.uid,),), number="12")
    save(store, Submission(
        id="x", table="t", scale="smoke", profile="p", user="u", host="h", time=1.0, commit="c", arrays=(array,),
        labels={spec.uid: "scratch · shapes · seed 0"},
    ))  # fmt: skip
    return store.folder(spec.uid)


def test_watching_without_a_terminal_prints_until_nothing_is_left(submitted, says, bench_command, tmp_path):
    """The job is queued twice and then gone: three tables, one after the other."""
    count = tmp_path / "count"
    script = f'echo x >> {count}; [ $(wc -l < {count}) -gt 2 ] || echo "12|bench-x-0|PENDING|Priority|"'
    done = bench_command("status", "--watch", "--every", "0.2", "--all", **says(squeue=script, sacct="exit 1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("scratch · shapes · seed 0  queued       job 12: others are before it") == 2
    assert done.stdout.count("1 run: 1 ") == 3 and "cancelled" in done.stdout.splitlines()[-4]
    assert done.stdout.splitlines()[-1] == "nothing is queued or at work; there is nothing to wait for"


def test_logs_are_the_runs_own(submitted, bench_command):
    folder = submitted.path.parent / "slurm" / "x"
    assert "its job has not started" in bench_command("logs", submitted.uid).stdout
    (folder / "workers" / "12").mkdir(parents=True)
    (folder / "workers" / "13").mkdir()
    (folder / "12_0_log.out").write_text("\n".join(f"line {number}" for number in range(100)))
    (folder / "workers" / "12" / "n1-worker-1.log").write_text("a warning")
    (folder / "workers" / "13" / "n1-worker-1.log").write_text("another job's")
    submitted.fail("Traceback\nValueError: why")
    out = bench_command("logs", submitted.uid, "--lines", "3").stdout
    assert "line 97\nline 98\nline 99\n" in out and "line 96" not in out
    assert "a warning" in out and "another job's" not in out and out.endswith("Traceback\nValueError: why\n")


@pytest.fixture
def several(store_root):
    """Three seeds of the scratch row, one of them with another setting, and one of DiffAugment."""
    from bench.plan.load import load_table

    store, runs = Store(store_root), {}
    for name, row, seed, settings in (("zero", "scratch", 0, {}), ("one", "scratch", 1, {"train.steps": 7}),
                                      ("two", "scratch", 2, {}), ("other", "diffaugment", 0, {})):  # fmt: skip
        spec = load_table("table1", settings)
        (chosen,), (faces,) = spec.pick_rows([row]), spec.pick_columns(["faces"])
        runs[name] = store.open(spec.run_spec(chosen, faces, seed, "mini"))
    return runs


def test_logs_finds_a_run_by_what_people_call_it(several, bench_command):
    def logs(*arguments):
        done = bench_command("logs", *arguments)
        return done.stdout.split(" ")[0] if done.returncode == 0 else done.stderr

    def of_table(*arguments):
        return logs(*arguments, "--table", "table1")

    zero, one, other = (several[name].uid for name in ("zero", "one", "other"))
    assert logs("scratch · faces · seed 0") == zero, "in whichever table that ships"
    assert of_table("Scratch faces seed 0") == zero
    assert of_table("scratch faces seed 1") == one, "a run with other settings has the label of its row too"
    assert of_table("diffaugment") == other
    assert of_table("scratch", "--seeds", "1") == one
    assert logs(one[-12:]) == logs(one[-10:-2]) == one, "any piece of an id"
    listed = of_table("scratch")
    assert listed.startswith("bench: error: run 'scratch': fits several: scratch · faces · seed 0 (")
    assert zero in listed and one not in listed, "the table's own settings come first"
    listed = of_table("avatars-critters")
    assert all(run.uid in listed for run in several.values())
    refused = of_table("scratch faces seed 3")
    assert "not in " in refused and "bench plan TABLE" in refused


def test_status_refuses_choices_without_a_table_and_shows_ids(several, bench_command):
    done = bench_command("status", "--rows", "scratch")
    assert done.returncode == 2 and "--rows chooses among the runs of a table" in done.stderr
    arguments = (
        "status",
        "table1",
        "--scale",
        "mini",
        "--rows",
        "scratch",
        "--columns",
        "faces",
        "--seeds",
        "0",
        "--all",
    )
    uid = several["zero"].uid
    assert uid in bench_command(*arguments, "--ids").stdout and uid not in bench_command(*arguments).stdout


def test_doctor_fails_only_for_what_smoke_and_mini_need(bench_command, tmp_path):
    """Weights that only the user can supply are absent here; a store that nobody can write to is a fault."""
    fresh = {"BENCH_WEIGHTS": str(tmp_path / "none"), "BENCH_SLURM_PROFILE": ""}
    done = bench_command("doctor", **fresh)
    assert done.returncode == 0, done.stdout
    assert "absent  extractor resnet50" in done.stdout and "MISSING" not in done.stdout
    assert re.search(r"^workers of bench run: \d+, forked from one process \(BENCH_WORKERS=fork\)$", done.stdout, re.M)
    (tmp_path / "file").touch()
    done = bench_command("doctor", "--store", str(tmp_path / "file" / "runs"), **fresh)
    assert done.returncode == 1 and "MISSING store" in done.stdout


def test_doctor_reads_the_profile_in_force(bench_command, tmp_path, says):
    (tmp_path / "mine.yaml").write_text("time: 1h\npartion: gpu\n")
    silent = says(sinfo="exit 1")
    told = bench_command("doctor", BENCH_SLURM_PROFILE=str(tmp_path / "mine.yaml"), **silent).stdout
    assert f"FAULTY  SLURM profile: {tmp_path / 'mine.yaml'}:2: partion: unknown key" in told
    told = bench_command("doctor", BENCH_SLURM_PROFILE="gpu-cluster", **silent).stdout
    assert "ok      SLURM profile: gpu-cluster, not checked against a cluster" in told


@pytest.mark.parametrize(
    ("scripts", "line"),
    [
        (
            {"sinfo": 'case "$*" in *version*) echo slurm-wlm 22.05.8;; *) echo "gpu*"; echo low;; esac',
             "sacct": "exit 1"},
            "ok      SLURM: slurm-wlm 22.05.8; partitions gpu, low; no sacct: ended jobs are explained by their logs",
        ),
        ({"sinfo": "echo 'Unable to contact' >&2; exit 1"}, "absent  SLURM: installed, but it does not answer"),
    ],
)  # fmt: skip
def test_doctor_tells_what_there_is_of_a_cluster(scripts, line, says, bench_command):
    out = bench_command("doctor", **says(sbatch="true", **scripts)).stdout
    assert line in out, out


def test_doctor_wants_no_weights_that_only_its_user_can_bring(bench_command, tmp_path, monkeypatch):
    """Those of the paper scale: absent, with what to do, and no failure."""
    cards = list(OURS)
    supplied = [card for card in cards if isinstance(card.weights, UserWeights)]
    for card in supplied:
        monkeypatch.delenv(card.weights.variable, raising=False)
    (tmp_path / "resnet50.pth").write_bytes(b"my own")
    done = bench_command("doctor", BENCH_WEIGHTS=str(tmp_path))
    for card in supplied:
        line = next(line for line in done.stdout.splitlines() if f" extractor {card.name}" in line)
        if card.name == "resnet50":
            assert "ok      extractor resnet50 (on weights of your own: 6 bytes, the published file has" in line
        else:
            assert line.startswith(f"absent  extractor {card.name}: weights")
            for part in (str(tmp_path / card.weights.file), card.weights.sha256, card.weights.origin):
                assert part in line
    assert len(supplied) > 10 and "MISSING" not in done.stdout and done.returncode == 0


def test_plan_says_what_a_cluster_has(several, says, bench_command, store_root):
    """Queued in SLURM: no plan to start it; a cluster that does not answer: it was submitted, no more is known."""
    store, uid = Store(store_root), several["zero"].uid
    array = ArrayRecord(name="bench-y-0", jobs=((uid,),), number="12")
    save(store, Submission(
        id="y", table="t", scale="mini", profile="p", user="u", host="h", time=1.0, commit="c", arrays=(array,),
        labels={uid: "scratch"},
    ))  # fmt: skip
    asked = [
        "plan",
        "table1",
        "--scale",
        "mini",
        "--rows",
        "scratch",
        "--columns",
        "faces",
        "--no-references",
    ]
    told = bench_command(*asked, **says(squeue='echo "12|bench-y-0|PENDING|Priority|"', sacct="exit 1")).stdout
    assert "  scratch · faces · seed 0  queued       " in told and "> scratch · faces · seed 1  planned" in told
    assert "1 run of these in the hands of the cluster" in told
    summary = next(line for line in told.splitlines() if " runs (" in line)
    assert "(2 planned, 1 queued); 2 to start" in summary
    told = bench_command(*asked, **says(squeue="exit 1", sacct="exit 1")).stdout
    assert "  scratch · faces · seed 0  submitted    " in told


def test_going_on_with_other_code_is_said(several, bench_command, store_root, capsys):
    from bench.cli.planning import say_other_code
    from bench.machine.provenance import commit
    from bench.plan.schedule import PlannedRun

    folder = several["zero"]
    run = PlannedRun(folder.spec(), title="scratch · faces · seed 0")
    (folder.path / "inputs.json").write_text(json.dumps({"starts": [{"commit": "0123456789"}, {"commit": commit()}]}))
    say_other_code([run], Store(store_root))
    assert capsys.readouterr().err == "", "nothing is left of what the other code did"
    folder.state.mkdir()
    (folder.state / "step-00000010.pt").touch()
    say_other_code([run], Store(store_root))
    said = f"1 run goes on from what code 0123456789 trained, this is {commit()}: scratch · faces · seed 0\n"
    assert capsys.readouterr().err == said
