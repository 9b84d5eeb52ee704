"""The papers' printed numbers, by the cells that claims name."""

from __future__ import annotations

from functools import cache

from bench.data.points import POINTS
from bench.errors import UserError
from bench.evaluate.registry import output_card
from bench.metrics.output import Output
from bench.report.claims.expressions import Place
from bench.report.printed import printed_texts, read_marks


class Numbers:
    """The printed numbers of all tables, each file read once."""

    def printed(self, place: Place) -> tuple[float, str] | None:
        """The number of a cell and its digits; None where the paper prints none.

        A reference point has its numbers under its own name ("dip/memorised"). One that is lost in the text at hand is
        that of another text, with a remark. A snapshot that a claim names is never printed.
        """
        if place.metric is None or place.snapshot is not None or place.of not in ("value", "abs"):
            return None
        known = card(place.metric)
        table = place.table
        if place.row in POINTS:
            table = f"{place.table.partition('/')[0]}/{place.row}"
        text = _texts(table).get((place.row, place.column, known.printed_name if known else place.metric))
        if text is None:
            return None
        value = float(text.split()[0])
        return (value, text) if place.of == "value" else (abs(value), text.lstrip("-"))

    def score(self, place: Place) -> str:
        """What the papers call a cell's score."""
        known = card(place.metric) if place.metric else None
        return (known.on_inception or known.short) if known else place.metric or ""


@cache
def _texts(table: str) -> dict[tuple[str, str, str], str]:
    """(row, column, metric) -> digits; of a lost number those that another text suggests."""
    marks = read_marks(table)
    lost = marks[(marks["mark"] == "lost") & (marks["text"] != "")]
    found = {
        (one.row, one.column, one.metric): f"{one.text} (lost in this text, from another)" for one in lost.itertuples()
    }
    return {**found, **printed_texts(table)}  # type: ignore[dict-item]  # all names in marks are text


def card(metric: str) -> Output | None:
    """The card of a score or of an output; None while its measure does not exist."""
    try:
        return output_card(metric)
    except UserError:
        return None
