"""Other pictures, other plug-in code: what a user sees of runs that were made from something else, verb by verb."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.store.runs import Store

CHECKOUT = Path(__file__).resolve().parents[3]
TABLE = """
title: mine
seeds: 1
snapshot: final
metrics: [fd]
rows: [{id: plain, label: Plain, method: baseline}]
columns: [{id: own, label: Own}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 4, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      own: {data: {name: mine, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""
PLUGIN = '''
"""A method of one's own."""

from bench.train import Method


class Grey(Method):
    """D sees grey pictures."""

    def augment(self, ctx, images_NCHW):
        return images_NCHW.mean(1, keepdim=True).expand_as(images_NCHW) * FACTOR
'''


@pytest.fixture
def desk(tmp_path, bench_command, monkeypatch):
    """A folder with a table and a set of one's own, built from pictures; `bench WORDS` in it."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.yaml").write_text(TABLE)
    (tmp_path / "grey.py").write_text(PLUGIN.replace("FACTOR", "1"))
    for name, seed in (("first", 0), ("second", 1)):
        (tmp_path / name).mkdir()
        for number in range(60):
            pixels = np.random.default_rng([seed, number]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")

    def bench(*words, status=0):
        done = bench_command(*words, cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    bench("data", "build", "mine", "--from", "first", "--resolution", "32", "--test-share", "0.5")
    return bench


@pytest.mark.slow
def test_a_set_rebuilt_from_other_pictures(desk, store_root):
    desk("run", "own.yaml", "--jobs", "1")
    (run,) = [one for one in Store(store_root) if one.spec().kind == "train"]
    value = run.metrics()[-1]["value"]
    assert f"{value:.4g} (n=1)" in desk("report", "own.yaml")

    built = desk("data", "build", "mine", "--from", "second", "--resolution", "32", "--test-share", "0.5", "--force")
    assert f"1 run in {store_root} is stale now: " in built and run.uid in built
    changed = "data set mine at 32 px (train images, test images)"
    plan = desk("plan", "own.yaml")
    assert f"stale: 1 run: changed since: {changed}; --retry stale trains anew" in plan and "; 0 to start" in plan
    again = desk("run", "own.yaml", "--jobs", "1", status=1)
    assert f"changed since: {changed}" in again and "; 0 to start" in again
    shown = desk("report", "own.yaml")
    assert f"{value:.4g}" not in shown and "1 of 1 stale" in shown and changed in " ".join(shown.split())
    assert "stale" in desk("status", "own.yaml")
    desk("record", "own.yaml", "--as", "kept", "--root", str(store_root.parent / "sets"), status=2)
    desk("compare", "plain", "--table", "own.yaml", "--against", "runs", status=2)

    done = desk("run", "own.yaml", "--jobs", "1", "--retry", "stale")
    assert "trained anew: 1 stale run; what was there is kept in" in done
    (kept,) = (store_root / "set-aside").iterdir()
    assert changed in json.loads((kept / "set-aside.json").read_text())["why"]
    assert json.loads((kept / "metrics.jsonl").read_text().splitlines()[-1])["value"] == value
    assert run.status() == "done" and run.metrics()[-1]["value"] != value
    assert f"{run.metrics()[-1]['value']:.4g} (n=1)" in desk("report", "own.yaml")


@pytest.mark.slow
def test_an_edited_plugin_is_another_run(desk, tmp_path, store_root):
    words = ["own.yaml", "--method", "grey + baseline", "--plugin", "grey.py", "--rows", "plain"]
    desk("run", *words, "--jobs", "1")
    first = {run.uid: run.result()["weights_sha256"] for run in Store(store_root)}
    (tmp_path / "grey.py").write_text(PLUGIN.replace("FACTOR", "0.5"))
    plan = desk("plan", *words)
    assert "(1 done, 1 planned); 1 to start" in plan
    assert "note: 1 run of another source of 'grey' in the store: not part of this table" in plan
    left = "Runs here that are of no row of this table, have other settings (--method, --set) or another plug-in's code"
    assert f"{left}: grey+baseline (1)." in " ".join(desk("report", *words).split())
    desk("run", *words, "--jobs", "1")
    second = {run.uid: run.result()["weights_sha256"] for run in Store(store_root)}
    assert len(second) == 3 and first.items() <= second.items()
    assert len(set(second.values())) == 3
    (tmp_path / "grey.py").write_text("# said better\n" + PLUGIN.replace("FACTOR", "0.5"))
    assert "; 0 to start" in desk("plan", *words)
    against = ["compare", "plain", "--table", "own.yaml", "--against", "runs", *words[1:]]
    assert f"{left}: grey+baseline (1)." in desk(*against[:-2])


@pytest.mark.slow
def test_runs_of_other_settings_are_named_under_the_table(desk):
    desk("run", "own.yaml", "--set", "train.steps=2", "--jobs", "1")
    without = " ".join(desk("report", "own.yaml").split())
    assert "have other settings (--method, --set) or another plug-in's code: baseline (1)." in without
    assert "other settings" not in desk("report", "own.yaml", "--set", "train.steps=2")


@pytest.mark.slow
def test_code_of_ours_that_is_edited_is_shown(desk, tmp_path, store_root):
    """In a copy of the project: a method's file and a network's file, edited under unchanged versions."""
    copy = tmp_path / "copy"
    for name in ("bench", "methods", "datasets", "slurm", "results/recorded", "pyproject.toml"):
        source = CHECKOUT / name
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)  # compiled code too: what is edited is compiled anew
        else:
            shutil.copy(source, target)

    def bench(*words):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words], cwd=tmp_path, capture_output=True, text=True, timeout=200,
            env={**os.environ, "PYTHONPATH": str(copy)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    bench("run", "own.yaml", "--jobs", "1")
    assert "has changed since" not in bench("plan", "own.yaml")
    for file in ("methods/baseline.py", "bench/networks/sngan/pair.py"):
        (copy / file).write_text((copy / file).read_text() + "\nEDITED = True\n")
    plan = bench("plan", "own.yaml")
    for name in ("part baseline, still version 1", "network sngan-32"):
        assert f"note: the code of {name}, has changed since 1 run here trained with it" in plan
    report = " ".join(bench("report", "own.yaml").split())
    assert "Code that has changed since runs shown here were trained with it: network sngan-32; part baseline" in report
