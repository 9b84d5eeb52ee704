"""A figure over its columns or a setting: points where the cells lie, seeds as dots, the table's own intervals."""

import math
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from bench.errors import UserError
from bench.report.build import build_report
from bench.report.figures.drawing import drawn
from bench.report.pictures import pictures
from bench.report.render import csv

SIZES = {"n25": 25, "n50": 50, "n100": 100}


@pytest.fixture
def over_images(table, frame, run, snapshots):
    """Two rows and the floor over three columns of 25, 50 and 100 images; a seed of scratch diverged at 25."""

    def figure(show=None, **changes):
        columns = [{"id": name, "label": name, "x": x} for name, x in SIZES.items()]
        rows = [
            {"id": "scratch", "label": "From scratch", "method": "baseline"},
            {"id": "scratch+disp", "label": "+ DISP", "method": "disp"},
        ]
        spec = table(rows=rows, columns=columns, claims=[])
        value = spec.model_dump(mode="json", exclude_none=True)
        value["scales"] = {"mini": value["scales"]["mini"]}
        like = value["scales"]["mini"]["columns"]["anime"]
        value["scales"]["mini"]["columns"] = {
            name: {**like, "data": {**like["data"], "shots": shots}} for name, shots in SIZES.items()
        }
        show = show or {"x": "column", "panels": "none", "label": "training images", "log": ["x", "y"]}
        spec = type(spec).model_validate({**value, "show": {"curve": show}, **changes})
        runs = [
            run(row, column, seed, snapshots((factor * 1000 / math.sqrt(shots) + seed, 0.5, 0.1)))
            for row, factor in (("scratch", 2.0), ("scratch+disp", 1.0))
            for column, shots in SIZES.items()
            for seed in range(3)
            if (row, column, seed) != ("scratch", "n25", 2)
        ]
        runs.append(run("scratch", "n25", 2, {10: {"fd": math.nan}}, status="diverged"))
        runs += [
            run("floor", column, 0, {0: {"fd": 9.0, "precision": 0.9, "recall": 0.9}}, kind="reference")
            for column in SIZES
        ]
        return build_report(spec, "mini", frame(*runs))

    return figure


def thick(panel):
    return {line.get_label(): line for line in panel.lines if line.get_linewidth() == 2}


def test_each_row_is_a_line_through_the_cells_of_the_table(over_images):
    report = over_images()
    (panel,) = drawn(report).axes
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    assert panel.get_xlabel() == "training images, log scale"
    assert list(panel.get_xticks()) == [25, 50, 100]
    line = thick(panel)["scratch+disp"]
    cells = report.main_block.cells
    assert list(line.get_xdata()) == [25, 50, 100]
    assert list(line.get_ydata()) == [cells["scratch+disp", column].interval.mean for column in SIZES]


def test_every_seed_is_a_dot_and_a_lost_one_a_cross(over_images):
    (panel,) = drawn(over_images()).axes
    colour = thick(panel)["scratch"].get_color()
    dots = [line for line in panel.lines if line.get_marker() == "." and line.get_color() == colour]
    assert [len(line.get_xdata()) for line in dots] == [2, 3, 3]
    (cross,) = (line for line in panel.lines if line.get_marker() == "x")
    assert list(cross.get_xdata()) == [25] and cross.get_color() == colour
    # Without an interval there is no bar: five cells have one.
    assert len(panel.collections) == 5


def test_bars_are_the_intervals_of_the_table(over_images):
    report = over_images()
    (panel,) = drawn(report).axes
    bars = [bars.get_segments()[0] for bars in panel.collections]
    interval = report.main_block.cells["scratch+disp", "n100"].interval
    assert any(np.allclose(bar, [[100, interval.low], [100, interval.high]]) for bar in bars)


def test_reference_points_are_grey_lines_with_their_name(over_images):
    (panel,) = drawn(over_images()).axes
    assert [text.get_text() for text in panel.texts] == ["floor"]
    (floor,) = (line for line in panel.lines if line.get_color() == "0.55")
    assert list(floor.get_ydata()) == [9.0, 9.0, 9.0]


def test_a_panel_for_each_row(over_images):
    figure = drawn(over_images({"x": "column", "panels": "rows"}))
    assert [panel.get_title() for panel in figure.axes] == ["From scratch", "+ DISP"]
    assert [list(thick(panel)) for panel in figure.axes] == [["scratch"], ["scratch+disp"]]


def test_a_setting_is_an_axis(over_images):
    report = over_images({"x": "data.shots", "panels": "none"})
    assert report.curve.label == "shots"
    (panel,) = drawn(report).axes
    assert list(thick(panel)["scratch"].get_xdata()) == [25, 50, 100]


def test_a_setting_that_a_cell_lacks_is_named(over_images):
    message = r"cell scratch/n25 at scale mini has no number at train.micro_batch, the figure's axis"
    with pytest.raises(UserError, match=message):
        over_images({"x": "train.micro_batch", "panels": "none"})


def test_the_points_are_in_the_csv_and_the_page_says_what_the_axis_is(over_images):
    report = over_images()
    lines = pd.read_csv(StringIO(csv.cells(report)))
    of_row = lines[(lines["row"] == "scratch+disp") & (lines["metric"] == "fd") & (lines["snapshot"] == "best")]
    assert dict(zip(of_row["column"], of_row["x"])) == SIZES
    assert pictures(report)[0].caption == "Fréchet distance over training images"


def test_a_figure_over_steps_has_the_axes_that_it_asks_for(spec, results):
    value = spec.model_dump(mode="json", exclude_none=True)
    value["show"] = {"curve": {"x": "step", "log": ["x"]}}
    panel = drawn(build_report(type(spec).model_validate(value), "mini", results)).axes[0]
    assert panel.get_xscale() == "log" and panel.get_xlabel() == "generator steps"
