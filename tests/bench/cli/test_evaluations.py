"""Evaluations of finished runs as a user meets them: planned, run, reported, recorded, made stale, with a measure of
one's own; all of it with real trainings of a few steps.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.build import build_report
from bench.report.results import load_results
from bench.run.reopen import reopen
from bench.store.runs import Store

MEASURES = (Path(__file__).resolve().parents[3] / "docs" / "measures.md").read_text()
TABLE = """
title: One training, three samplings
seeds: 2
snapshot: best
metrics: [fd]
rows:
  - {id: mix, label: Mix, method: "disp(prior=random)"}
  - {id: pure, label: Pure, method: "disp(prior=random)", evaluate: {measure: rescore, sampling: pure}}
  - {id: gmm, label: Mixture, of: {row: mix}, evaluate: {measure: rescore, sampling: gmm-2}}
columns: [{id: own, label: Own}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    data: {name: NAME, resolution: 32, shots: 16}
    generated: 24
    reference: 24
"""
BORROWS = """
title: How bright
seeds: 2
snapshot: best
best_of: 2
metrics: [brightness_gap]
of: own.yaml
evaluate: {measure: brightness, count: 30}
rows: [{id: mix, label: Mix}, {id: pure, label: Pure}]
columns: [{id: own, label: Own}]
scales: {smoke: {}}
"""


@pytest.fixture
def desk(tmp_path, bench_command):
    """A folder with tables and a plug-in; `bench WORDS` in it. name: of the data set."""

    def at(name="shapes"):
        (tmp_path / "own.yaml").write_text(TABLE.replace("NAME", name))
        (tmp_path / "bright.yaml").write_text(BORROWS)
        (tmp_path / "brightness.py").write_text(re.findall(r"```python\n(.*?)```", MEASURES, re.DOTALL)[0])

        def bench(*words, status=0):
            done = bench_command(*words, cwd=tmp_path)
            assert done.returncode == status, done.stdout + done.stderr
            return " ".join((done.stdout + done.stderr).split())

        return bench

    return at


def planned(path, store, **choice):
    return {run.label: run for run in make_plan(load_table(str(path)), "smoke", store, **choice).runs}


@pytest.mark.parametrize(("how", "status"), [("failed", 1), ("diverged", 0)])
def test_what_became_of_a_training_is_said_of_its_evaluations_without_a_run(desk, tmp_path, store_root, how, status):
    """By every verb."""
    bench, store = desk(), Store(store_root)
    words = ("own.yaml", "--rows", "gmm", "--seeds", "0")
    training, evaluation = make_plan(load_table(str(tmp_path / "own.yaml")), "smoke", store, ["gmm"], None, [0]).runs
    if how == "failed":
        store.open(training.spec).fail("ValueError: why")
    else:
        store.open(training.spec).finish(
            {"steps": 4, "diverged_at": 3, "weights_sha256": None, "best_sha256": None, "seconds": 1.0}
        )
    plan, run = bench("plan", *words), bench("run", *words, status=status)
    assert f"1 {how}, 1 planned" in plan
    assert ("of these 1 run cannot start: the source has failed; --retry failed begins" in plan) == (how == "failed")
    assert store.folder(evaluation.uid).metrics() == []
    shown = bench("status", *words)
    if how == "failed":
        assert f"({evaluation.uid}) its source {training.uid} failed" in run
        assert f"blocked its source {training.uid} failed" in shown and "1 blocked, 1 failed" in shown
    else:
        assert f"diverged: gmm · own · seed 0 ({evaluation.uid})" in run
        assert f"the run that it evaluates has diverged: {training.uid}" in shown
    assert f"1 of 1 {how}" in bench("report", *words) or how == "diverged"
    assert f"Runs: 1 {how}" in bench("report", *words)


@pytest.mark.slow
def test_one_training_gives_three_rows(desk, tmp_path, store_root):
    bench = desk()
    assert "6 runs, of which 4 evaluations (6 planned); 6 to start" in bench("plan", "own.yaml")
    without = bench("run", "own.yaml", "--no-train", "--jobs", "1")
    told = "left out, as --no-train trains nothing: 2 trainings, 4 evaluations of runs that are not trained"
    assert told in without and "; 0 to start" in without and "0 runs finished" in without

    # The training of one seed alone, then what can be done without another
    bench("run", "own.yaml", "--rows", "mix", "--seeds", "0", "--jobs", "1")
    half = bench("run", "own.yaml", "--no-train", "--jobs", "1")
    assert "2 to start" in half and "1 training, 2 evaluations of runs that are not trained" in half
    assert "2 runs finished" in half
    store = Store(store_root)
    assert {run.spec().seed for run in store} == {0} and len(list(store)) == 3
    assert "3 runs finished" in bench("run", "own.yaml", "--jobs", "1")
    assert "(6 done); 0 to start" in bench("plan", "own.yaml")

    # The report: a cell from the records, whose runs, and how they were sampled
    report, own = bench("report", "own.yaml"), load_table(str(tmp_path / "own.yaml"))
    blocks = build_report(own, "smoke", load_results(own, "smoke", store)).blocks
    assert all((block.cells["gmm", "own"].values == ()) == (block.rule == "final") for block in blocks)
    runs = planned(tmp_path / "own.yaml", store)
    for row in ("mix", "pure", "gmm"):
        values = [min(line["value"] for line in store.folder(runs[f"{row} · own · seed {seed}"].uid).metrics())
                  for seed in (0, 1)]  # fmt: skip
        assert [block.cells[row, "own"].values for block in blocks if block.paper_rule] == [tuple(values)]
    assert "gmm: evaluates runs trained for this table; sampler gmm-2; measure rescore; best snapshot." in report
    assert "Runs here that are of no row" not in report
    training = runs["mix · own · seed 0"]
    assert f"{min(line['value'] for line in store.folder(training.uid).metrics()):.4g}" in bench(
        "evaluate", "--run", training.uid, "--snapshot", "best"
    )
    pure = runs["pure · own · seed 0"]
    refusal = bench("sample", pure.uid, "--output", "x", status=2)
    assert f"is an evaluation of {training.uid}, which has the generator: name it" in refusal
    assert "mix · own · seed 0" in bench("status", "own.yaml", "--all")
    assert f"{pure.uid} has no job log" in bench("logs", "pure · own · seed 0", "--table", "own.yaml")

    # A recorded set has them too, and serves a store without runs
    bench("record", "own.yaml", "--as", "kept", "--root", "sets")
    (file,) = (tmp_path / "sets" / "kept").glob("*.csv")
    assert {"measure", "run_score"} <= set(file.read_text().splitlines()[0].split(","))
    from_set = load_results(str(tmp_path / "own.yaml"), store=store)
    assert set(from_set["measure"]) == {"", "rescore"} and set(from_set["status"]) == {"done"}


@pytest.mark.slow
def test_a_recorded_set_of_evaluations_is_reported_without_the_runs(desk, tmp_path, store_root, monkeypatch):
    bench = desk()
    bench("run", "own.yaml", "--jobs", "1", "--seeds", "0")
    bench("record", "own.yaml", "--as", "kept", "--root", "sets")
    shown = bench("report", "own.yaml").split("One training")[1].split("FD(")[1]
    monkeypatch.setenv("BENCH_RECORDED", str(tmp_path / "sets"))
    monkeypatch.setenv("BENCH_STORE", str(tmp_path / "empty"))
    again = bench("report", "own.yaml", "--recorded", "kept").split("One training")[1].split("FD(")[1]
    numbers = re.compile(r"\d+\.\d+")
    assert numbers.findall(shown) == numbers.findall(again) != []


@pytest.mark.slow
def test_evaluations_are_stale_once_their_training_is_another(desk, tmp_path, store_root, monkeypatch):
    """Other pictures under the same name: nothing is evaluated of the old run, and --retry stale does both anew."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    bench = desk("mine")
    for name, seed in (("first", 0), ("second", 1)):
        (tmp_path / name).mkdir()
        for number in range(60):
            pixels = np.random.default_rng([seed, number]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    build = ["data", "build", "mine", "--resolution", "32", "--test-share", "0.5", "--from"]
    bench(*build, "first")
    words = ["own.yaml", "--rows", "mix,pure", "--seeds", "0", "--jobs", "1"]
    bench("run", *words)
    store = Store(store_root)
    (pure,) = [run for run in store if run.spec().kind == "evaluate"]
    value = pure.metrics()[0]["value"]

    bench(*build, "second", "--force")
    plan = bench("plan", "own.yaml", "--seeds", "0")
    assert "2 stale" in plan and "1 run not started: the source is stale" in plan and "; 0 to start" in plan
    assert "stale" in bench("report", "own.yaml") and "0 to start" in bench("run", *words, status=1)
    done = bench("run", *words, "--retry", "stale")
    assert "trained anew: 2 stale runs; what was there is kept in" in done and "2 runs finished" in done
    assert pure.status() == "done" and pure.metrics()[0]["value"] != value
    (kept,) = (store_root / "set-aside").glob(f"{pure.uid}*")
    assert json.loads((kept / "metrics.jsonl").read_text())["value"] == value

    # The training alone once more, from the same inputs: to the same bits, so that its evaluation stays what it is
    bench("run", "own.yaml", "--rows", "mix", "--seeds", "0", "--jobs", "1", "--rerun")
    assert "(2 done); 0 to start" in bench("plan", "own.yaml", "--rows", "mix,pure", "--seeds", "0")


@pytest.mark.slow
def test_a_measure_of_ones_own_is_planned_run_and_reported(desk, tmp_path, store_root, load_plugin):
    """The page's own, on runs of another table, with its card's label and direction; the best of two seeds is that of
    the better run, by a score that the measure does not give.
    """
    bench, words = desk(), ["bright.yaml", "--plugin", "brightness.py"]
    assert "brightness distance of mean grey levels" in bench("list", "measures", "--plugin", "brightness.py")
    refused = bench("plan", "bright.yaml", status=2)
    assert "bright.yaml:8: evaluate.measure: unknown measure 'brightness'; did you mean" in refused
    plan = bench("plan", *words)
    assert "own: mix · own · seed 0 (training)" in plan and "6 runs, of which 4 evaluations (6 planned)" in plan
    assert "6 runs finished" in bench("run", *words, "--jobs", "1")

    load_plugin((tmp_path / "brightness.py").read_text(), "brightness.py")
    store, report = Store(store_root), bench("report", *words)
    runs, chosen = planned(tmp_path / "bright.yaml", store), {}
    for row in ("mix", "pure"):
        values = []
        for seed in (0, 1):
            (line,) = store.folder(runs[f"{row} · own · seed {seed}"].uid).metrics()
            training = runs[f"own: mix · own · seed {seed} (training)"]
            opened = reopen(store.folder(training.uid), store, "best", inference={"sampling": row})
            images = np.concatenate(list(opened.images(30)))
            gap = abs(images.mean() - opened.ctx.images_u8_NHWC.mean())
            assert line["value"] == pytest.approx(gap, rel=1e-12) and line["n_generated"] == 30
            values.append((line["run_score"], line["value"]))
        chosen[row] = min(values)[1]
        assert f"best {chosen[row]:.4g}" in report
    assert "grey gap, lower is better; best snapshot of each seed" in report and "final snapshot" not in report
    assert "best: the seed whose run has the best score, of those by which snapshots are chosen" in report
    evaluates = "evaluates own's runs; {}measure brightness, count 30; best snapshot"
    assert f"mix: {evaluates.format('')}." in report and f"pure: {evaluates.format('sampler pure; ')}." in report

    # Another code of the measure: the evaluations are stale, the trainings are not
    (tmp_path / "brightness.py").write_text((tmp_path / "brightness.py").read_text().replace("abs(", "2 * abs("))
    plan = bench("plan", *words)
    assert "stale: 4 runs: changed since: code of the measure brightness; --retry stale" in plan and "2 done" in plan
    bench("run", *words, "--jobs", "1", "--retry", "stale")
    (line,) = store.folder(runs["mix · own · seed 0"].uid).metrics()
    assert "4 evaluations (6 done)" in bench("plan", *words) and line["value"] > 0
