"""Ours against every baseline of a data set: a dot a ratio or difference, a bar its interval, a line at none."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.report.compare import MethodComparison
from bench.report.compare_words import compared_as
from bench.report.figures.line_styles import COLOURS
from bench.report.figures.seed_dots import LOOK, SOFT, shortened
from bench.report.verdicts import BETTER, LARGER, SMALLER, WORSE, Standing

WIDE, LETTER, LINE, FRAME = 3.8, 0.066, 0.26, 0.85  # inches: of the panel, a letter, a baseline, title and axis
STYLE = {BETTER: (COLOURS[0], "full"), SMALLER: (COLOURS[0], "full"), WORSE: (COLOURS[1], "full"),
         LARGER: (COLOURS[1], "full")}  # fmt: skip


def ratios(comparison: MethodComparison, place: Standing) -> Figure | None:
    """The figure; None where nothing was compared. Told apart: filled, in colour; not: hollow and grey."""
    shown = [one for one in place.against if one.comparison is not None]
    if not shown:
        return None
    with rc_context(LOOK):
        names = [shortened(one.row) for one in shown]
        labels = 0.3 + LETTER * max(map(len, names))
        wide, tall = labels + WIDE, FRAME + LINE * len(shown)
        figure = Figure(figsize=(wide, tall))
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=labels / wide, right=1 - 0.2 / wide, bottom=0.5 / tall, top=1 - 0.3 / tall)
        panel = figure.subplots()
        # A dot and a bar each
        for height, one in enumerate(shown):
            pair = one.comparison
            assert pair is not None
            colour, fill = STYLE.get(one.verdict, (SOFT, "none"))
            if np.isfinite([pair.low, pair.high]).all():
                panel.hlines(height, pair.low, pair.high, color=colour, linewidth=2.5, alpha=0.6)
            panel.plot([pair.size], [height], "o", color=colour, fillstyle=fill, markersize=6)
        # No difference, and what is what
        null = 1.0 if comparison.card.is_ratio else 0.0
        panel.axvline(null, color=SOFT, linewidth=1, linestyle="--")
        panel.set_yticks(range(len(shown)), names, fontsize=8)
        panel.set_ylim(len(shown) - 0.4, -0.6)
        panel.set_xlabel(f"{comparison.label}: {compared_as(comparison)}", fontsize=8)
        panel.set_title(shortened(comparison.columns.get(place.column, place.column), 60), fontsize=9)
        _scaled(panel, comparison.card.is_ratio)
    return figure


def _scaled(panel: Axes, log: bool) -> None:
    if log:
        panel.set_xscale("log")
        low, high = panel.get_xlim()
        steps = (1.0, 2.0, 5.0) if high / low > 6 else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
        panel.xaxis.set_major_locator(LogLocator(subs=steps))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(labelsize=8)
    panel.grid(True, axis="x", linewidth=0.4, color="0.6", alpha=0.4)
    panel.spines[["top", "right"]].set_visible(False)
