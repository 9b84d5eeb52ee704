"""A score against what a figure's columns differ in: a line per row, every seed a dot, an interval as a bar."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

from bench.errors import UserError
from bench.report.figures.line_styles import Style, legend, styles_of
from bench.report.figures.scaling import log_values, mark_zero
from bench.report.model import Block, Cell, CurveAxis, RowHead, TableReport

TICKS = 10  # more values of x than this are not all named


def value_curves(report: TableReport) -> Figure:
    """A figure of the table's main score over its axis (`TableReport.curve`), under the paper's snapshot rule.

    Dots are seeds. The line joins the cells' means, with the tables' own intervals as bars. Where a seed diverged the
    line passes through the median, and a cross at the top edge stands for each seed without a score. Grey lines are
    reference points.

    Raises UserError if the table has no such axis or no score, and if nothing is scored yet.
    """
    block, axis = report.main_block, report.curve
    if block is None or axis is None or axis.over_steps:
        raise UserError(f"table '{report.name}' has nothing to draw over its columns; see `show` in its YAML file")
    rows = [row for row in report.rows if _cells(block, axis, row)]
    trained = [row for row in rows if row.kind != "reference"]
    if not trained:
        raise UserError(f"nothing of '{report.name}' is scored at scale {report.scale} yet; `bench run` trains it")
    # One panel of 5.2 by 4.4 inches for all rows, or one for each; 2 more for the legend.
    groups = [[row] for row in trained] if axis.by_row else [trained]
    figure = Figure(figsize=(5.2 * len(groups) + (0 if axis.by_row else 2), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    styles = styles_of(trained)
    for panel, group in zip(panels, groups, strict=True):
        _axes(panel, block, axis, group)
        mark_zero(panel, block.measure)
        for row in group:
            _line(panel, _cells(block, axis, row), styles[row.id], row.id)
        _points(panel, block, axis, [row for row in rows if row.kind == "reference"], group)
        if axis.by_row:
            panel.set_title(group[0].label, fontsize=10)
    logarithmic = panels[0].get_yscale() == "log"
    panels[0].set_ylabel(f"{block.axis}{', log scale' if logarithmic else ''}")
    if not axis.by_row:
        legend(figure, panels, report.rows)
    return figure


def _cells(block: Block, axis: CurveAxis, row: RowHead) -> list[tuple[float, Cell]]:
    """A row's cells in which something ended, in the order of x."""
    own = ((x, block.cells.get((name, column))) for (name, column), x in axis.x.items() if name == row.id)
    return sorted(((x, cell) for x, cell in own if cell is not None and cell.values), key=lambda pair: pair[0])


def _axes(panel: Axes, block: Block, axis: CurveAxis, rows: list[RowHead]) -> None:
    """The scales and ticks of a panel: named where there are few values of x."""
    if block.measure.is_ratio or "y" in axis.log:
        log_values(panel)
    values = sorted({x for row in rows for x, _ in _cells(block, axis, row)})
    if "x" in axis.log:
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_minor_formatter(NullFormatter())
    if len(values) <= TICKS:
        panel.xaxis.set_major_locator(FixedLocator(values))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.set_xlabel(f"{axis.label}{', log scale' if 'x' in axis.log else ''}".removeprefix(", "))
    panel.grid(True, which="major", linewidth=0.3, color="0.85")
    panel.spines[["top", "right"]].set_visible(False)


def _line(panel: Axes, cells: list[tuple[float, Cell]], style: Style, label: str) -> None:
    """A row: its seeds, the line through its means or medians, and the intervals of its cells."""
    # The seeds: dots, and crosses for those without a score
    for x, cell in cells:
        values = np.array(cell.values, dtype=float)
        scored = values[np.isfinite(values)]
        panel.plot(np.full(len(scored), x), scored, ".", color=style.colour, alpha=0.5, markersize=5)
        if lost := len(values) - len(scored):
            panel.plot([x] * lost, [1.0] * lost, "x", color=style.colour, transform=panel.get_xaxis_transform())
    # The line, and a bar where an interval can be given
    through = [(x, cell) for x, cell in cells if np.isfinite(cell.centre)]
    look: dict[str, Any] = {"color": style.colour, "linewidth": 2, "marker": style.marker, "markersize": 5}
    panel.plot([x for x, _ in through], [cell.centre for _, cell in through], style.line, label=label, **look)
    for x, cell in through:
        if cell.interval is not None and np.isfinite([cell.interval.low, cell.interval.high]).all():
            panel.vlines(x, cell.interval.low, cell.interval.high, color=style.colour, linewidth=1.4, alpha=0.8)


def _points(panel: Axes, block: Block, axis: CurveAxis, points: list[RowHead], rows: list[RowHead]) -> None:
    """Reference points as grey lines over the values of x that the panel shows."""
    shown = {x for row in rows for x, _ in _cells(block, axis, row)}
    for point in points:
        cells = [(x, cell.centre) for x, cell in _cells(block, axis, point) if x in shown and np.isfinite(cell.centre)]
        if cells:
            panel.plot([x for x, _ in cells], [y for _, y in cells], "--", color="0.55", linewidth=0.9)
            panel.annotate(point.label, cells[-1], fontsize=7, color="0.3", ha="right", va="bottom")
