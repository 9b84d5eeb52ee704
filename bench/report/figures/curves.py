"""A score against training steps: a panel per column, a colour and a line style per row, every seed a thin line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bench.errors import UserError
from bench.report.figures.line_styles import Style, legend, styles_of
from bench.report.figures.scaling import LINEAR, LOG, Scaling, log_values, mark_zero
from bench.report.model import CurveAxis, TableReport

BANDS = 4  # up to so many rows have bands as intervals; more have bars, which do not cover each other
FORMATS = ("png", "svg", "pdf")


def score_curves(report: TableReport) -> Figure:
    """A figure of the table's main score over steps, one panel per column that has scores.

    Thin lines are seeds, running ones too. Thick lines are the mean of the seeds that have come far. Two or more such
    seeds have a t interval: a band, or a bar where there are many rows. A score that is compared as a ratio has a log
    axis, geometric means and intervals of the logs. A cross marks the last score of a diverged seed. Grey lines are
    reference points; one far from all rows is named at the edge with its value.

    Raises UserError if the table has no score or nothing is scored yet.
    """
    block = report.main_block
    if block is None:
        raise UserError(f"table '{report.name}' has no score to plot; its metrics are in its YAML file")
    scores, scaling = report.scores(block), LOG if block.measure.is_ratio else LINEAR
    if scores.empty:
        raise UserError(f"nothing of '{report.name}' is scored at scale {report.scale} yet; `bench run` trains it")
    # A panel per column, 4.2 by 4.8 inches; 2.4 more for the legend.
    columns = [column for column in report.columns if column.id in set(scores["column"])]
    figure = Figure(figsize=(4.2 * len(columns) + 2.4, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    trained = set(scores.loc[scores["kind"] == "train", "row"])
    styles = styles_of([row for row in report.rows if row.id in trained])
    for panel, column in zip(panels, columns):
        _panel(panel, scores[scores["column"] == column.id], styles, scaling)
        panel.set_title(f"{column.label} ({column.name})" if column.stand_in else column.label, fontsize=10)
        _look(panel, report.curve)
        mark_zero(panel, block.measure)
    panels[0].set_ylabel(f"{block.axis}{', log scale' if scaling is LOG else ''}")
    legend(figure, panels, report.rows)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the file's suffix; undated, so equal figures give equal files."""
    kind = path.suffix.lstrip(".")
    if kind not in FORMATS:
        raise UserError(f"{path}: a plot must end in .{', .'.join(FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with rc_context({"svg.hashsalt": "bench"}):  # else the ids inside an SVG are random
        figure.savefig(path, dpi=150, metadata=metadata)


def _panel(panel: Axes, scores: pd.DataFrame, styles: dict[str, Style], scaling: Scaling) -> None:
    if scaling is LOG:
        log_values(panel)
    trained = scores[scores["kind"] == "train"]
    _step_ticks(panel, sorted({int(step) for step in trained["step"]}))
    shown = [row for row in styles if row in set(trained["row"])]
    # For each row: its seeds as thin lines, then their mean.
    for place, row in enumerate(shown):
        lines, style = trained[trained["row"] == row], styles[row]
        for _, seed in lines.groupby("seed"):
            seed = seed.sort_values("step")
            x, y = seed["step"].to_numpy(float), seed["value"].to_numpy(float)
            panel.plot(x, y, style.line, color=style.colour, linewidth=0.6, alpha=0.4)
            if seed["status"].iloc[0] == "diverged":
                panel.plot(x[-1:], y[-1:], "x", color=style.colour, markersize=7)
        aside = (place - (len(shown) - 1) / 2) / max(len(shown), 1) if len(shown) > BANDS else None
        _mean(panel, lines, row, style, aside, scaling)
    _points(panel, scores[scores["kind"] == "reference"], trained["value"], scaling)
    panel.grid(True, which="major", linewidth=0.3, color="0.85")
    panel.spines[["top", "right"]].set_visible(False)


def _points(panel: Axes, points: pd.DataFrame, trained: pd.Series[float], scaling: Scaling) -> None:
    """Reference points as grey lines; one far below or above the rows, which fill the panel, is named at its edge."""
    levels = {str(name): scaling.mean(point["value"].to_numpy(float)) for name, point in points.groupby("row")}
    finite = trained[np.isfinite(trained)]
    low, high = scaling.limits(finite.min(), finite.max()) if not finite.empty else (-math.inf, math.inf)
    if not finite.empty:
        panel.set_ylim(low, high)
    where = panel.get_yaxis_transform()
    for index, (name, level) in enumerate(levels.items()):
        across, side = ((1.0, "right"), (0.0, "left"), (0.5, "center"))[index % 3]  # close levels, no overlap
        look: dict[str, Any] = {"ha": side, "fontsize": 7, "color": "0.3"}
        if low < level < high:
            panel.axhline(level, color="0.55", linewidth=0.8)
            panel.text(across, level, name, transform=where, va="bottom", **look)
        else:
            edge, place, arrow = (0.0, "bottom", "↓") if level <= low else (1.0, "top", "↑")
            panel.text(across, edge, f"{name} {level:.3g} {arrow}", transform=panel.transAxes, va=place, **look)


def _look(panel: Axes, axis: CurveAxis | None) -> None:
    """The x axis' name, and the logarithmic axes that a figure asks for."""
    panel.set_xlabel(axis.label if axis else "generator steps")
    if axis and "x" in axis.log:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if axis and "y" in axis.log:
        log_values(panel)


def _step_ticks(panel: Axes, steps: list[int]) -> None:
    """Ticks at the scored steps where these are few, else at whole numbers of steps."""
    if len(steps) <= 6:
        panel.set_xticks(steps)
    else:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _mean(panel: Axes, lines: pd.DataFrame, row: str, style: Style, aside: float | None, scaling: Scaling) -> None:
    """The mean over the seeds that have come far, with intervals; `aside` is the offset of bars, None draws bands."""
    # The steps that the averaged seeds share, and an interval at each
    grid = lines.pivot_table(index="step", columns="seed", values="value")
    together = _together(grid.notna())
    values = grid[together].dropna().sort_index()
    steps = values.index.to_numpy(float)
    intervals = [scaling.interval(line) for line in values.to_numpy(float)]
    middle = np.array([interval.mean for interval in intervals])
    # The line of the means
    of = f" ({len(together)} of {grid.shape[1]} seeds)" if len(together) < grid.shape[1] else ""
    look: dict[str, Any] = {
        "color": style.colour,
        "linewidth": 2,
        "marker": style.marker,
        "markersize": 4,
        "label": row + of,
    }
    panel.plot(steps, middle, style.line, **look)
    if len(together) < 2:
        return
    # The intervals: a band, or bars beside each other where there are many rows
    low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
    if aside is None:
        panel.fill_between(steps, low, high, color=style.colour, alpha=0.12, linewidth=0)
    else:
        apart = float(np.min(np.diff(steps))) if len(steps) > 1 else 1.0
        at = steps + 0.25 * apart * aside
        panel.vlines(at, low, high, color=style.colour, linewidth=1.2, alpha=0.8)


def _together(scored: pd.DataFrame) -> list[int]:
    """The seeds to average: all, once they share two steps (or there is but one step); else as many as do.

    scored: whether each step (index) of each seed (columns) has a score.
    """
    far = scored.sum().sort_values(ascending=False, kind="stable")
    for count in range(len(far), 1, -1):
        seeds = list(far.index[:count])
        if scored[seeds].all(axis=1).sum() >= min(2, len(scored)):
            return seeds
    return [far.index[0]]
