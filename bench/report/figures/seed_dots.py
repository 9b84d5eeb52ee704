"""A score's cells: a panel per column, a line per row with its seeds as dots and its interval as a bar."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.report.figures.line_styles import COLOURS
from bench.report.model import Block, Cell, ColumnHead, RowHead, TableReport
from bench.report.render.cell_text import column_text, row_text

INK, SOFT = "#1b1b1d", "#6d6d6f"
# What an inlined SVG has of the page's own colours (report.css), light and dark
PAGES = {INK: "currentColor", SOFT: "var(--soft)", COLOURS[0].lower(): "var(--s0)", COLOURS[1].lower(): "var(--s1)"}
LINE, HEAD, WIDE, LABELS = 0.26, 1.0, 3.4, 2.4  # inches: of a row, of title and axis, of a panel, of the rows' names
LONGEST = 34  # characters of a row's name
LOOK: Any = {  # of matplotlib's rc parameters
    "svg.hashsalt": "bench",
    "svg.fonttype": "none",  # text stays text: it can be read out, found and copied
    "text.parse_math": False,  # a name with a dollar sign is a name
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def seed_dots(report: TableReport, block: Block) -> Figure | None:
    """The figure; None where no cell has a value. Reference points are vertical lines with their names.

    The axis is logarithmic where values are compared as ratios and all are positive. A seed without a finite score is
    not drawn; the table names it.
    """
    rows = [row for row in report.rows if row.kind not in ("reference", "printed") and _values(report, block, row)]
    columns = [one for one in report.columns if any(_finite(block.cells.get((row.id, one.id))) for row in rows)]
    if not rows or not columns:
        return None
    with rc_context(LOOK):
        wide, tall = LABELS + WIDE * len(columns), HEAD + LINE * len(rows)
        figure = Figure(figsize=(wide, tall))
        figure.subplots_adjust(
            left=LABELS / wide, right=1 - 0.15 / wide, bottom=0.5 / tall, top=1 - 0.3 / tall, wspace=0.08
        )
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
        for panel, column in zip(panels, columns):
            _panel(panel, report, block, column, rows)
        panels[0].set_yticks(range(len(rows)), [_short(row) for row in rows], fontsize=8)
        panels[0].set_ylim(len(rows) - 0.4, -0.9)  # the table's first row on top, reference points' names above it
    return figure


def picture_files(figure: Figure) -> tuple[str, bytes]:
    """The figure as SVG text, to stand in a page, and as PNG; equal figures give equal files."""
    drawn, png = io.StringIO(), io.BytesIO()
    with rc_context(LOOK), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # an emoji in a name: boxes in the PNG, text in the SVG
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(png, format="png", dpi=120)
    return drawn.getvalue(), png.getvalue()


def inlined(svg: str, prefix: str, label: str) -> str:
    """An SVG's element for a page: its ink is the page's, its ids are its own. label: escaped text in its place."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{prefix}", body)
    for colour, own in PAGES.items():
        body = body.replace(colour, own)
    return re.sub(r"<svg ", f'<svg class="plot" role="img" aria-label="{label}" ', body, count=1)


def _panel(panel: Axes, report: TableReport, block: Block, column: ColumnHead, rows: list[RowHead]) -> None:
    for place, row in enumerate(rows):
        cell = block.cells.get((row.id, column.id), Cell())
        colour, values = COLOURS[0] if row.kind == "method" else COLOURS[1], _finite(cell)
        panel.plot(values, np.full(len(values), place), "o", color=colour, markersize=4, alpha=0.75, markeredgewidth=0)
        if cell.interval is not None and np.isfinite(cell.interval.half_width):
            low, high = cell.interval.low, cell.interval.high
            panel.hlines(place, low, high, color=colour, linewidth=2.5, alpha=0.45)
            panel.plot([cell.interval.mean], [place], "|", color=colour, markersize=9, markeredgewidth=2)
    # Reference points: lines, before the axis is settled; their names after it
    points = [(row, _finite(block.cells.get((row.id, column.id)))) for row in report.rows if row.kind == "reference"]
    lines = [(row.label, float(np.mean(found))) for row, found in points if found]
    for number, (_, at) in enumerate(lines):
        panel.axvline(at, color=SOFT, linewidth=1, linestyle=("--", ":", "-.")[number % 3])
    if block.measure.is_ratio and all(value > 0 for row in report.rows for value in
                                      _finite(block.cells.get((row.id, column.id)))):  # fmt: skip
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    _named(panel, lines)
    panel.set_title(column_text(column)[:60], fontsize=9)
    panel.set_xlabel(block.axis, fontsize=8)
    panel.tick_params(labelsize=8)
    panel.grid(True, axis="x", linewidth=0.4, color="0.6", alpha=0.4)
    panel.spines[["top", "right"]].set_visible(False)


def _named(panel: Axes, lines: list[tuple[str, float]]) -> None:
    """The names of reference points beside their lines, where there is room, in turn at two heights."""
    panel.get_xlim()  # settles the axis
    for number, (label, at) in enumerate(lines):
        (share, _) = panel.transAxes.inverted().transform(panel.transData.transform((at, 0)))
        side, away = ("left", 3) if share < 0.5 else ("right", -3)
        panel.annotate(
            label, (at, 1), xycoords=("data", "axes fraction"), fontsize=7, ha=side, color=SOFT,
            xytext=(away, -8 - 7 * (number % 2)), textcoords="offset points",
        )  # fmt: skip


def _finite(cell: Cell | None) -> list[float]:
    return [value for value in cell.values if np.isfinite(value)] if cell is not None else []


def _values(report: TableReport, block: Block, row: RowHead) -> list[float]:
    return [value for column in report.columns for value in _finite(block.cells.get((row.id, column.id)))]


def _short(row: RowHead) -> str:
    """The row's id where it differs from its label, as labels repeat; no longer than there is room for."""
    return shortened(row.id if row.kind != "added" else row_text(row).strip())


def shortened(text: str, longest: int = LONGEST) -> str:
    """A name in one line that is no longer than there is room for."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
