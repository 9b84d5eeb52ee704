"""Score against the measured hours of a run, the rows that none beats in both joined by a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.report.compare import MethodComparison
from bench.report.costs import ColumnCosts, Point
from bench.report.figures.line_styles import COLOURS
from bench.report.figures.seed_dots import LOOK, SOFT, shortened
from bench.report.model import Cell

WIDE, LETTER, TALL, LINE = 3.6, 0.066, 3.2, 0.2  # inches: of the panel, a letter, the panel at least, a name
WIDELY = 8.0  # values that lie so many times apart are on a log axis


def pareto(comparison: MethodComparison, costs: ColumnCosts, device: str) -> Figure | None:
    """The figure of a column's rows on one device; None for fewer than two. Ours is in another colour."""
    points = costs.devices[device]
    if len(points) < 2:
        return None
    with rc_context(LOOK):
        names = 0.5 + LETTER * max(len(shortened(one.row)) for one in points)
        wide, tall = 0.75 + WIDE + names, max(TALL, 0.9 + LINE * len(points))
        figure = Figure(figsize=(wide, tall))
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.75 / wide, right=1 - names / wide, bottom=0.55 / tall, top=1 - 0.3 / tall)
        panel = figure.subplots()
        cells = _cells(comparison, costs.column)
        for one in points:
            _mark(panel, one, cells.get(one.row), one.row == comparison.method)
        front = [one for one in points if one.front]
        panel.plot([one.cost.hours for one in front], [one.score for one in front], "-", color=SOFT, linewidth=1,
                   drawstyle="steps-post", zorder=1)  # fmt: skip
        _axes(panel, points, comparison)
        panel.set_title(shortened(comparison.columns.get(costs.column, costs.column), 60), fontsize=9)
        panel.set_xlabel(f"hours of a run on {shortened(device, 50)}", fontsize=8)
        panel.set_ylabel(comparison.label, fontsize=8)
        _names(panel, points, comparison)
    return figure


def _mark(panel: Axes, one: Point, cell: Cell | None, ours: bool) -> None:
    """A row: its dot, filled where it is on the front, and its score's interval."""
    colour = COLOURS[1] if ours else COLOURS[0]
    if cell is not None and cell.interval is not None and np.isfinite(cell.interval.half_width):
        panel.vlines(one.cost.hours, cell.interval.low, cell.interval.high, color=colour, linewidth=2, alpha=0.4)
    panel.plot([one.cost.hours], [one.score], "s" if ours else "o", color=colour, markersize=6,
               fillstyle="full" if one.front else "none", zorder=3)  # fmt: skip


def _axes(panel: Axes, points: Sequence[Point], comparison: MethodComparison) -> None:
    for axis, values in (("x", [one.cost.hours for one in points]), ("y", [one.score for one in points])):
        if min(values) > 0 and max(values) / min(values) > WIDELY and (axis == "x" or comparison.card.is_ratio):
            getattr(panel, f"set_{axis}scale")("log")
            lines = panel.xaxis if axis == "x" else panel.yaxis
            lines.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            lines.set_major_formatter(StrMethodFormatter("{x:g}"))
            lines.set_minor_formatter(NullFormatter())
    panel.margins(0.08)
    panel.tick_params(labelsize=8)
    panel.grid(True, linewidth=0.4, color="0.6", alpha=0.4)
    panel.spines[["top", "right"]].set_visible(False)


def _names(panel: Axes, points: Sequence[Point], comparison: MethodComparison) -> None:
    """The rows' names in a list beside the panel, in the order of their heights, each with a line to its dot."""
    panel.get_ylim()  # settles the axes, which the places below are of
    to_share = panel.transAxes.inverted()
    places = [(to_share.transform(panel.transData.transform((one.cost.hours, one.score)))[1], one) for one in points]
    places.sort(key=lambda pair: -pair[0])
    room = 1 / max(len(places), 12)
    heights = _apart([height for height, _ in places], room)
    for height, (_, one) in zip(heights, places):
        panel.annotate(
            shortened(one.row), (one.cost.hours, one.score), xytext=(1.04, height), textcoords="axes fraction",
            fontsize=8, va="center", annotation_clip=False, color=COLOURS[1] if one.row == comparison.method else None,
            arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.5, "alpha": 0.6, "shrinkB": 4},
        )  # fmt: skip


def _apart(heights: Sequence[float], room: float) -> list[float]:
    """Heights from the top down, moved apart to `room` at least and kept within the panel where they fit."""
    placed: list[float] = []
    for height in heights:
        placed.append(min(height, placed[-1] - room) if placed else min(height, 1.0))
    if placed and placed[-1] < 0:  # too low: from the bottom up
        low = 0.0
        for place in range(len(placed) - 1, -1, -1):
            placed[place] = max(placed[place], low)
            low = placed[place] + room
    return placed


def _cells(comparison: MethodComparison, column: str) -> Mapping[str, Cell]:
    place = next(one for one in comparison.standings if one.column == column)
    return {comparison.method: place.ours, **{one.row: one.cell for one in place.against}}
