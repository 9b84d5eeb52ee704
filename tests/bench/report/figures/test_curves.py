"""The FD curves show every seed, their mean and the reference points."""

from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from bench.errors import UserError
from bench.report.build import build_report
from bench.report.figures.curves import save, score_curves


@pytest.fixture
def report(spec, results):
    return build_report(spec, "mini", results)


def test_each_column_has_a_panel_with_seeds_means_and_bands(report, results):
    figure = score_curves(report)
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == ["Anime (openmoji)", "Faces (dicebear)"]
    for panel in panels:
        assert panel.get_yscale() == "log"
        thin = [line for line in panel.lines if line.get_linewidth() < 0.7]
        thick = [line for line in panel.lines if line.get_linewidth() == 2]
        assert (len(thin), len(thick), len(panel.collections)) == (9, 3, 3)
        texts = {text.get_text() for text in panel.texts}
        assert texts == {"floor 9.6 ↓", "memorised"}  # far below all rows: named at the edge
        assert panel.get_ylim()[0] > 20 and list(panel.get_xticks()) == [10, 20]
    fd = results.query("row == 'scratch' and column == 'anime' and metric == 'fd' and step == 20")["value"]
    mean = next(line for line in panels[0].lines if line.get_label() == "scratch")
    assert np.asarray(mean.get_ydata())[-1] == pytest.approx(np.exp(np.log(fd.to_numpy(float)).mean()))


def test_rows_are_told_apart(report):
    lines = [line for line in score_curves(report).axes[0].lines if line.get_linewidth() == 2]
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(looks) == 3
    by_row = {line.get_label(): line for line in lines}
    assert by_row["scratch"].get_color() != by_row["scratch+disp"].get_color()  # one family, two colours


def look(line):
    return line.get_color(), line.get_linestyle()


def test_twenty_rows_are_told_apart_and_their_intervals_do_not_cover_each_other(table, frame, run, snapshots):
    names = [f"family{number // 2}{'+disp' * (number % 2)}" for number in range(20)]
    rows = [{"id": name, "label": name, "method": "baseline"} for name in names]
    runs = [
        run(name, "anime", seed, snapshots((50 + place + seed, 0.5, 0.1), (60 + place + seed, 0.5, 0.1)))
        for place, name in enumerate(names)
        for seed in range(3)
    ]
    panel = score_curves(build_report(table(rows=rows, claims=[]), "mini", frame(*runs))).axes[0]
    lines = [line for line in panel.lines if line.get_linewidth() == 2]
    assert len({look(line) for line in lines}) == 20
    assert all(one.get_color() != other.get_color() for one, other in pairwise(lines))
    places = [bars.get_segments()[0][0][0] for bars in panel.collections]
    assert len(set(places)) == 20 and max(places) - min(places) < 10  # of steps that are 10 apart


@pytest.mark.parametrize("steps", [(15, 20, 25, 30), tuple(range(1, 41)), (1, 2)])
def test_ticks_are_whole_steps(steps, table, frame, run):
    runs = [run("scratch", "anime", 0, {step: {"fd": 100.0 - step} for step in steps})]
    panel = score_curves(build_report(table(), "mini", frame(*runs))).axes[0]
    ticks = list(panel.get_xticks())
    assert all(tick == round(tick) for tick in ticks) and len(ticks) >= 2
    panel.figure.canvas.draw()
    written = [text.get_text().lstrip("-−") for text in panel.get_xticklabels()]
    assert all(text.isdigit() for text in written if text)


def test_a_row_whose_seeds_are_under_way_has_a_line(table, frame, run, snapshots):
    """One seed is done, two have their first snapshot: a line of the first, and the legend says of how many."""
    runs = [
        run("scratch", "anime", 0, snapshots((80, 0.5, 0.1), (100, 0.5, 0.1))),
        *(run("scratch", "anime", seed, {10: {"fd": 90.0}}, status="running") for seed in (1, 2)),
    ]
    panel = score_curves(build_report(table(), "mini", frame(*runs))).axes[0]
    line = next(line for line in panel.lines if line.get_linewidth() == 2)
    assert np.asarray(line.get_xdata()).tolist() == [10, 20]
    assert np.asarray(line.get_ydata()) == pytest.approx([100, 80])
    assert line.get_label() == "scratch (1 of 3 seeds)"


def test_a_diverged_seed_ends_in_a_cross(table, frame, run, snapshots):
    runs = [
        run("scratch", "anime", 0, snapshots((100, 0.5, 0.1))),
        run("scratch", "anime", 1, {10: {"fd": 300.0}}, status="diverged"),
    ]
    panel = score_curves(build_report(table(), "mini", frame(*runs))).axes[0]
    crosses = [line for line in panel.lines if line.get_marker() == "x"]
    assert [np.asarray(line.get_ydata())[0] for line in crosses] == [300.0]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_files_are_reproducible_and_leave_pyplot_alone(report, tmp_path, suffix):
    before = dict(matplotlib.rcParams)
    for name in ("a", "b"):
        save(score_curves(report), tmp_path / f"{name}.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    assert len(data) > 5000 and data == (tmp_path / f"b.{suffix}").read_bytes()
    assert dict(matplotlib.rcParams) == before


def test_mistakes_are_named(report, table, frame, run, tmp_path):
    with pytest.raises(UserError, match=r"must end in \.png"):
        save(score_curves(report), tmp_path / "a.bmp")
    nothing = frame(run("scratch", "anime", 0, {}, status="missing"))
    with pytest.raises(UserError, match="scored"):
        score_curves(build_report(table(), "mini", nothing))
