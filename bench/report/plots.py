"""FD against training steps: a panel per column, a colour per method family, every seed as a thin line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.errors import UserError
from bench.report.model import RowHead, TableReport
from bench.stats import log_interval

# Okabe and Ito's colours, told apart with any colour vision; yellow is left out as too light for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", ":", "-.")  # within a family: the base, then what is added to it
FORMATS = ("png", "svg", "pdf")


def fd_curves(report: TableReport) -> Figure:
    """A figure of the table's first Fréchet distance over steps, one panel per column that has scores.

    Thin lines are seeds (running ones too), thick lines their geometric mean with a t interval (of the
    logs) where at least two seeds share a step, a cross marks where a diverged seed was last scored, grey
    lines are reference points. Raises UserError if the table has no FD or nothing is scored yet.
    """
    block = next((one for one in report.blocks if one.metric == "fd"), None)
    if block is None:
        raise UserError(f"table '{report.name}' has no metric fd to plot; its metrics are in its YAML file")
    scores = report.results
    scores = scores[
        (scores["metric"] == "fd") & (scores["extractor"] == block.extractor) & (scores["value"] > 0)
    ]
    if scores.empty:
        raise UserError(
            f"nothing of '{report.name}' is scored at scale {report.scale} yet; `bench run` trains it"
        )
    columns = [column for column in report.columns if column.id in set(scores["column"])]
    figure = Figure(figsize=(4.2 * len(columns) + 2.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    styles = _styles([row for row in report.rows if row.kind in ("method", "control", "added")])
    for panel, column in zip(panels, columns):
        _panel(panel, scores[scores["column"] == column.id], styles)
        panel.set_title(f"{column.label} ({column.name})" if column.stand_in else column.label, fontsize=10)
        panel.set_xlabel("generator steps")
    panels[0].set_ylabel(f"{block.label}, log scale")
    _legend(figure, panels, report.rows)
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


def _panel(panel: Axes, scores: pd.DataFrame, styles: dict[str, tuple[str, str]]) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    for row, (colour, style) in styles.items():
        lines = scores[(scores["row"] == row) & (scores["kind"] == "train")]
        if lines.empty:
            continue
        for _, seed in lines.groupby("seed"):
            seed = seed.sort_values("step")
            x, y = seed["step"].to_numpy(float), seed["value"].to_numpy(float)
            panel.plot(x, y, style, color=colour, linewidth=0.6, alpha=0.45)
            if seed["status"].iloc[0] == "diverged":
                panel.plot(x[-1:], y[-1:], "x", color=colour, markersize=7)
        _mean(panel, lines, row, colour, style)
    for index, (name, points) in enumerate(scores[scores["kind"] == "reference"].groupby("row")):
        level = float(np.exp(np.log(points["value"]).mean()))
        panel.axhline(level, color="0.55", linewidth=0.8)
        across, side = ((1.0, "right"), (0.0, "left"), (0.5, "center"))[index % 3]  # close levels, no overlap
        where = panel.get_yaxis_transform()
        panel.text(across, level, str(name), transform=where, ha=side, va="bottom", fontsize=7, color="0.3")
    panel.grid(True, which="major", linewidth=0.3, color="0.85")
    panel.spines[["top", "right"]].set_visible(False)


def _mean(panel: Axes, lines: pd.DataFrame, row: str, colour: str, style: str) -> None:
    """The mean over the seeds that reached each step, as long as none of them is missing there."""
    by_step = {
        int(step): lines.loc[lines["step"] == step, "value"].to_numpy(float)
        for step in lines["step"].unique()
    }
    most = max(len(values) for values in by_step.values())
    steps = sorted(step for step, values in by_step.items() if len(values) == most)
    intervals = [log_interval(by_step[step]) for step in steps]
    panel.plot(
        steps,
        [one.mean for one in intervals],
        style,
        color=colour,
        linewidth=2,
        marker="o",
        markersize=3,
        label=row,
    )
    if most > 1:
        low, high = [one.low for one in intervals], [one.high for one in intervals]
        panel.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)


def _styles(rows: list[RowHead]) -> dict[str, tuple[str, str]]:
    """A colour per family (what stands before the first "+" of an id) and a line style within it."""
    families: dict[str, list[str]] = {}
    for row in rows:
        families.setdefault(row.id.split("+")[0], []).append(row.id)
    return {
        row: (COLOURS[index % len(COLOURS)], STYLES[place % len(STYLES)])
        for index, members in enumerate(families.values())
        for place, row in enumerate(members)
    }


def _legend(figure: Figure, panels: np.ndarray, rows: tuple[RowHead, ...]) -> None:
    """One legend for all panels, in the table's order, by row id: labels such as "+ DISP" repeat."""
    found = {label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels())}
    order = [row.id for row in rows if row.id in found]
    if order:
        figure.legend(
            [found[row] for row in order], order, loc="outside right upper", fontsize=8, frameon=False
        )
