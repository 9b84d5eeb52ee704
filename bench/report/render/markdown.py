"""A report as GitHub Markdown: pipe tables, the marked cells in bold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bench.report.claims.page import ClaimsPage
from bench.report.claims.result import ClaimResult
from bench.report.claims.words import READING, details, sentence
from bench.report.model import Block, TableReport
from bench.report.picture_words import alternative_text
from bench.report.render.cell_text import Shown, column_text, row_text, shown_columns, shown_rows
from bench.report.render.joined import shown_blocks


def render(report: TableReport) -> str:
    """The whole report. Labels and notes are escaped: they cannot break a table or smuggle in markup."""
    parts = [f"## {escape(report.name)}: {escape(report.title)} (scale {report.scale})"]
    for block in shown_blocks(report):
        parts += [f"### {escape(block.title)}", "\n".join(_table(report, block))]
        parts += [escape(note) for note in (*block.groups, *block.notes)]
    if report.figure is not None and report.figure.file:
        parts.append(f"![{escape(alternative_text(report))}]({report.figure.file})")
    if report.claims:
        parts += ["### Claims", f"{escape(READING[0].upper() + READING[1:])}", "\n".join(_claims(report.claims))]
    parts += [escape(line) for line in (*report.caption, *report.notes)]
    return "\n\n".join(parts).replace("; marked: ", "; **bold**: ", 1) + "\n"


def render_claims(page: ClaimsPage) -> str:
    """The claims of several tables as one page."""
    parts = [f"## {escape(page.title)}", *map(escape, page.notes)]
    for group in page.groups:
        parts += [f"### {escape(group.title)}", "\n".join(_claims(group.claims))]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", text)


def table(heads: list[str], body: list[list[str]]) -> list[str]:
    """The lines of a pipe table of escaped cells."""
    rule = ["---"] * len(heads)
    return ["| " + " | ".join(cells) + " |" for cells in (heads, rule, *body)]


def _table(report: TableReport, block: Block) -> Iterator[str]:
    heads = ["", *(escape(column_text(column)) for column in shown_columns(report, block))]
    body = [[_label(row_text(row)), *map(_cell, cells)] for row, cells in shown_rows(report, block)]
    yield from table(heads, body)


def _label(text: str) -> str:
    """Leading blanks vanish in Markdown: an indented label keeps them as non-breaking ones."""
    stripped = text.lstrip()
    return "&nbsp;" * (len(text) - len(stripped)) + escape(stripped)


def _cell(cell: Shown) -> str:
    text = escape(cell.text)
    return f"**{text}**" if cell.marked else text


def _claims(claims: Sequence[ClaimResult]) -> Iterator[str]:
    for claim in claims:
        yield f"- **{claim.verdict}**: {escape(sentence(claim))}"
        for line in details(claim):
            yield f"  - {escape(line)}"
