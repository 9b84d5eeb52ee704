"""A report as one HTML page without scripts or outside files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from bench.report.model import TableReport
from bench.report.pairs import claim_text
from bench.report.pictures import Picture
from bench.report.render.cell_text import column_text, row_text, shown_rows

PAGE = Path(__file__).with_name("page.html.j2")


def render(report: TableReport, pictures: Sequence[Picture] = ()) -> str:
    """The whole report as a page, its pictures inside; every text is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(PAGE.read_text(encoding="utf-8")).render(
        report=report,
        blocks=[(block, shown_rows(report, block)) for block in report.blocks],
        sentences=[line.replace("; marked: ", "; bold: ", 1) for line in (*report.caption, *report.notes)],
        row_text=row_text,
        column_text=column_text,
        claim_text=claim_text,
        pictures=pictures,
    )
