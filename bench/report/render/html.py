"""A report as one HTML page without scripts or outside files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.claims.page import ClaimsPage
from bench.report.claims.words import READING, details, sentence
from bench.report.model import TableReport
from bench.report.pictures import Picture
from bench.report.render.cell_text import column_text, row_text, shown_columns, shown_rows
from bench.report.render.joined import shown_blocks

TEMPLATES = Path(__file__).parent


def render(report: TableReport, pictures: Sequence[Picture] = ()) -> str:
    """The whole report as a page, its pictures inside; every text is escaped."""
    return _page(
        "page.html.j2",
        report=report,
        blocks=[(block, shown_columns(report, block), shown_rows(report, block)) for block in shown_blocks(report)],
        sentences=[line.replace("; marked: ", "; bold: ", 1) for line in (*report.caption, *report.notes)],
        row_text=row_text,
        column_text=column_text,
        reading=READING[0].upper() + READING[1:],
        pictures=pictures,
    )


def render_claims(page: ClaimsPage) -> str:
    """The claims of several tables as one page."""
    return _page("claims_page.html.j2", page=page)


def _page(template: str, **values: Any) -> str:
    """A template filled in; what it shows of claims comes with it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, loader=FileSystemLoader(TEMPLATES)
    )
    return environment.get_template(template).render(sentence=sentence, details=details, **values)
