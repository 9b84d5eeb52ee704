"""The numbers of a trace over the steps of training: a panel for each row and column, a line for each number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bench.errors import UserError
from bench.evaluate.traces import Trace
from bench.report.figures.line_styles import COLOURS, MARKERS
from bench.report.model import TableReport


def trace_curves(report: TableReport, trace: Trace) -> Figure:
    """A figure of all outputs of a trace over steps, on one axis for all panels.

    Thin lines are seeds, thick ones their mean at the steps that all of them have. A cross marks the last value of a
    diverged seed. Raises UserError where nothing of it is recorded yet.
    """
    frame = report.traced(trace)
    if frame.empty:
        raise UserError(f"nothing of '{trace.name}' is recorded in '{report.name}' at scale {report.scale} yet")
    # The panels, of 4.2 by 3.6 inches: rows below each other, columns side by side; 2 inches for the legend.
    rows = [row for row in report.rows if row.id in set(frame["row"])]
    columns = [column for column in report.columns if column.id in set(frame["column"])]
    size = (4.2 * len(columns) + 2, 3.6 * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), len(columns), squeeze=False, sharey=True)
    for row, line in zip(rows, panels, strict=True):
        for column, panel in zip(columns, line, strict=True):
            _panel(panel, frame[(frame["row"] == row.id) & (frame["column"] == column.id)], trace)
            panel.set_title(f"{row.label} · {column.label}", fontsize=10)
    # One legend for all panels
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _panel(panel: Axes, lines: pd.DataFrame, trace: Trace) -> None:
    for place, output in enumerate(trace.outputs):
        own = lines[lines["metric"] == output.name]
        grid = own.pivot_table(index="step", columns="seed", values="value").sort_index()
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        for seed in grid:
            values = grid[seed].dropna()
            panel.plot(values.index, values, color=colour, linewidth=0.6, alpha=0.4)
            if (own.loc[own["seed"] == seed, "status"] == "diverged").any():
                panel.plot(values.index[-1:], values[-1:], "x", color=colour, markersize=7)
        mean = grid.dropna().mean(axis=1)
        look: dict[str, Any] = {"linewidth": 2, "markersize": 4, "label": output.short}
        panel.plot(mean.index.to_numpy(float), mean.to_numpy(float), color=colour, marker=marker, **look)
    panel.set_xlabel("generator steps")
    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.grid(True, which="major", linewidth=0.3, color="0.85")
    panel.spines[["top", "right"]].set_visible(False)
    if not np.isfinite(lines["value"]).any():
        panel.text(0.5, 0.5, "no value", transform=panel.transAxes, ha="center")
