"""One run's losses and scores so far, from its folder: every value as CSV, a panel a name in the figure."""

from __future__ import annotations

import pandas as pd
import pytest
from PIL import Image

from bench.cli.main import cli
from bench.errors import UserError
from bench.report.figures.run_curves import run_figure, values_so_far
from bench.store.runs import Store


@pytest.fixture
def folder(tiny_spec, store_root):
    """A run at work: two logged steps, of which one was logged again after a restart, and two snapshots."""
    folder = Store(store_root).open(tiny_spec("baseline", scored=True))
    logged = [{"step": 1, "d_loss": 2.0, "g_loss": -0.5}, {"step": 2, "d_loss": 1.5, "g_loss": 0.25}]
    folder.append(folder.train_log, [*logged, {"step": 2, "d_loss": 1.25, "g_loss": 0.75}])
    score = {"metric": "fd", "extractor": "effnet_lite0@32"}
    folder.append(folder.metrics_log, [{**score, "step": 2, "value": 812.5}, {**score, "step": 4, "value": None}])
    return folder


def test_every_value_is_a_line_of_the_csv(folder, tmp_path, capsys):
    path = tmp_path / "new" / "run.csv"
    cli.main(args=["logs", folder.uid, "--curves", str(path)], standalone_mode=False)
    assert f"{path}: 5 values of {folder.uid}" in capsys.readouterr().out
    found = pd.read_csv(path)
    assert list(map(tuple, found.to_numpy())) == [
        (1, "training", "d_loss", 2.0),
        (1, "training", "g_loss", -0.5),
        (2, "training", "d_loss", 1.25),
        (2, "training", "g_loss", 0.75),
        (2, "score", "FD(effnet_lite0@32)", 812.5),
    ]


def test_the_figure_has_a_panel_for_each_name_scores_first(folder, tmp_path):
    panels = run_figure(values_so_far(folder), "a run").axes
    assert [panel.get_title() for panel in panels] == ["FD(effnet_lite0@32)", "d_loss", "g_loss"]
    assert [list(panel.lines[0].get_ydata()) for panel in panels] == [[812.5], [2.0, 1.25], [-0.5, 0.75]]
    cli.main(args=["logs", folder.uid, "--curves", str(tmp_path / "run.png")], standalone_mode=False)
    assert Image.open(tmp_path / "run.png").width > 1000


def test_a_score_is_named_with_the_images_that_it_is_against(folder):
    score = {"metric": "fd", "extractor": "effnet_lite0@32", "step": 6, "value": 9.0}
    folder.append(folder.metrics_log, [{**score, "reference_split": "training-images"}])
    assert values_so_far(folder)["name"].iloc[-1] == "FD(effnet_lite0@32) against the training images"


def test_what_cannot_be_written_is_named(folder, tiny_spec, store_root, tmp_path):
    with pytest.raises(UserError, match=r"run\.txt: the file's name must end with \.csv, \.png, \.svg, \.pdf"):
        cli.main(args=["logs", folder.uid, "--curves", str(tmp_path / "run.txt")], standalone_mode=False)
    fresh = Store(store_root).open(tiny_spec("baseline", seed=1))
    with pytest.raises(UserError, match=f"run {fresh.uid} has logged nothing yet"):
        cli.main(args=["logs", fresh.uid, "--curves", str(tmp_path / "run.csv")], standalone_mode=False)
    assert not list(tmp_path.glob("run.*"))
