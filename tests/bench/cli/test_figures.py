"""A figure of pictures as a user meets it: planned, run, reported, refused; with a measure of one's own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from bench.data.picture_grid import read_grid
from bench.plan.load import load_table
from bench.plan.runs import make_plan
from bench.report.results import load_results
from bench.run.reopen import reopen
from bench.store.runs import Store

PLUGIN = '''
"""A run's first images."""
from bench.data.picture_grid import PictureGrid
from bench.evaluate.card import MeasureSettings, Result, RunMeasure


class Settings(MeasureSettings):
    """columns: how many."""

    columns: int = 3


def compute(subject, settings):
    names = tuple(f"z {number}" for number in range(settings.columns))
    return Result(grid=PictureGrid(subject.images(settings.columns), ("",), names, "first images"))


MEASURES = [
    RunMeasure(name="first-images", summary="its first images", settings=Settings, pictures=True, compute=compute)
]
'''
TRAINS = """
title: Two methods
seeds: 1
snapshot: best
metrics: [fd]
rows: [{id: plain, label: Plain, method: unconditional}, {id: mix, label: Mix, method: disp(prior=random)}]
columns: [{id: own, label: Own}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 4, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    protocol: {name: tiny, version: 1, every: 2, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    data: {name: shapes, resolution: 32, shots: 16}
    generated: 24
    reference: 24
"""
FIGURE = """
title: What they make
seeds: 1
snapshot: best
metrics: []
of: trains.yaml
show: {pictures: {side: 64}}
evaluate: {measure: first-images}
rows: [{id: plain, label: Plain}, {id: mix, label: Mix}]
columns: [{id: own, label: Own}]
scales: {smoke: {}}
"""


@pytest.fixture
def desk(tmp_path, bench_command):
    """`bench WORDS` in a folder with a figure, the table whose runs it shows, and the measure."""
    (tmp_path / "trains.yaml").write_text(TRAINS)
    (tmp_path / "fig.yaml").write_text(FIGURE)
    (tmp_path / "first.py").write_text(PLUGIN)

    def bench(*words, status=0):
        done = bench_command(*words, "--plugin", "first.py", cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    return bench


@pytest.mark.slow
def test_a_figure_is_planned_run_and_reported(desk, tmp_path, store_root, load_plugin):
    load_plugin(PLUGIN, "first.py")
    assert "4 runs, of which 2 evaluations (4 planned)" in desk("plan", "fig.yaml")
    assert "left out, as --no-train trains nothing" in desk("run", "fig.yaml", "--no-train", "--jobs", "1")
    assert "2 runs finished" in desk("run", "fig.yaml", "--rows", "mix", "--jobs", "1")
    assert "4 runs, of which 2 evaluations (2 done, 2 planned)" in desk("plan", "fig.yaml")
    assert "mix · own · seed 0 done" in re.sub(" +", " ", desk("status", "fig.yaml", "--all"))

    # The record: the run's own first images with their captions, and no score
    store, table = Store(store_root), load_table(str(tmp_path / "fig.yaml"))
    runs = {run.label: run for run in make_plan(table, "smoke", store).runs}
    folder = store.folder(runs["mix · own · seed 0"].uid)
    grid = read_grid(folder.pictures)
    trained = store.folder(folder.spec().evaluated.uid)
    assert np.array_equal(grid.images_NHWC, reopen(trained, store, "best").all_images(3)) and grid.columns[2] == "z 2"
    assert folder.metrics() == [] and folder.sheets() == []

    # The report: what there is and what is missing, in every form
    told = desk("report", "fig.yaml")
    assert "Pictures of seed 0: 1 of 2 cells" in told and str(folder.pictures) in told
    assert f"mix · own: 1 row of 3; run {trained.uid}, seed 0, step " in told
    assert "No pictures (grey in the figure): plain · own (not run)." in told and "Runs: 1 done, 1 missing" in told
    frame = load_results(table, "smoke", store)
    assert list(frame["metric"]) == ["", ""] and sorted(frame["status"]) == ["done", "missing"]
    desk("report", "fig.yaml", "--output", "out")
    index = json.loads((tmp_path / "out" / "fig-smoke.pictures.json").read_text())
    assert [entry["status"] for entry in index["cells"]] == ["planned", "done"]
    assert index["cells"][1]["run"] == trained.uid and index["file"] == "fig-smoke.pictures.png"
    with Image.open(tmp_path / "out" / index["file"]) as whole:
        assert whole.width > 3 * 64
    assert f"![{index['alternative_text']}](fig-smoke.pictures.png)" in (tmp_path / "out" / "fig-smoke.md").read_text()

    # Taken again it is the same file; broken, it is refused in one line; and no set keeps it
    before = folder.pictures.read_bytes()
    desk("run", "fig.yaml", "--rows", "mix", "--rerun", "--jobs", "1")
    assert folder.pictures.read_bytes() == before
    folder.pictures.write_bytes(before[:100])
    assert "is not a grid of pictures that an evaluation has written" in desk("report", "fig.yaml", status=2)
    refusal = desk("record", "fig.yaml", "--as", "mine", status=2)
    assert "fig is a figure of pictures, and a recorded set keeps scores" in refusal


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("metrics: []", "metrics: [fd]", "metrics: a figure of pictures shows no numbers; write metrics: []"),
        ("first-images", "rescore", "measure 'rescore' gives no pictures, and this is a figure of pictures"),
        ("show: {pictures: {side: 64}}", "", "gives pictures and no numbers; write show: {pictures: {}}"),
        ("{pictures: {side: 64}}", "{}", "show: must have curve or pictures, one of the two"),
        ("side: 64", "sid: 64", "show.pictures.sid: unknown key; did you mean 'side'?"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(tmp_path, load_plugin, old, new, message):
    load_plugin(PLUGIN)
    (tmp_path / "trains.yaml").write_text(TRAINS)
    (tmp_path / "fig.yaml").write_text(FIGURE.replace(old, new))
    with pytest.raises(Exception, match=re.escape(message)):
        load_table(str(tmp_path / "fig.yaml"))


def test_a_measure_that_gives_other_pictures_than_its_card_says_fails(tmp_path, load_plugin, tiny_spec, store_root):
    """Before anything of it is recorded."""
    import torch

    from bench.evaluate.registry import parse_measure
    from bench.run.execute import execute
    from bench.run.settings import Settings
    from bench.spec.run import evaluation_run

    load_plugin(
        PLUGIN.replace("Result(grid=PictureGrid(", "Result() if settings.columns else Result(grid=PictureGrid(")
    )
    store, run = Store(store_root), tiny_spec("unconditional", scored=True)
    task = evaluation_run(parse_measure({"measure": "first-images"}), run, run.protocol)
    outcomes = []
    for spec in (run, task):
        store.open(spec)
        outcomes.append(execute(spec.uid, store, Settings(torch.device("cpu")), lambda: False, lambda *_: None))
    folder = store.folder(task.uid)
    assert outcomes == ["done", "failed"] and not folder.pictures.exists() and folder.result() is None
    assert "gives no grid of pictures, and its card says pictures=True" in folder.error()
