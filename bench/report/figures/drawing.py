"""Which figure a table is drawn as: its scores over the training's steps, or over what its columns differ in."""

from __future__ import annotations

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.report.figures.curves import score_curves
from bench.report.figures.value_curves import value_curves
from bench.report.model import TableReport


def drawn(report: TableReport) -> Figure:
    """The figure of a table's main score. Raises UserError where nothing is scored yet."""
    over_steps = report.curve is None or report.curve.over_steps
    with rc_context({"text.parse_math": False}):  # a name with dollar signs is a name
        return score_curves(report) if over_steps else value_curves(report)
