"""A report for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from bench.report.claims.page import ClaimsPage
from bench.report.claims.result import ClaimResult
from bench.report.claims.words import READING, details, sentence
from bench.report.model import Block, RowHead, TableReport
from bench.report.render.cell_text import Shown, column_text, row_text, shown_columns, shown_rows
from bench.report.render.joined import shown_blocks

MARK = " *"


def render(report: TableReport, width: int = 120) -> str:
    """The whole report as plain text, at most `width` characters wide; marked cells carry an asterisk.

    Columns that do not fit side by side stand below each other.
    """
    parts = [_wrap(f"{report.name}: {report.title} (scale {report.scale})", width)]
    for block in shown_blocks(report):
        parts.append("\n".join(_block(report, block, width)))
    if report.claims:
        parts.append("\n".join(_claims(report, width)))
    sentences = [line.replace("; marked: ", "; *: ", 1) for line in report.caption]
    parts.append("\n".join(_wrap(line, width) for line in (*sentences, *report.notes)))
    return "\n\n".join(parts) + "\n"


def render_claims(page: ClaimsPage, width: int = 120) -> str:
    """The claims of several tables as plain text."""
    parts = [_wrap(page.title, width), "\n".join(_wrap(line, width) for line in page.notes)]
    for group in page.groups:
        parts.append("\n".join([_wrap(group.title, width), *_told(group.claims, width)]))
    return "\n\n".join(parts) + "\n"


def _block(report: TableReport, block: Block, width: int) -> Iterator[str]:
    yield _wrap(block.title, width)
    lines = shown_rows(report, block)
    heads = [column_text(column) for column in shown_columns(report, block)]
    for start, stop in _chunks(lines, heads, width):
        body = [[row_text(row), *(_text(cell) for cell in cells[start:stop])] for row, cells in lines]
        yield tabulate(
            body,
            headers=["", *heads[start:stop]],
            tablefmt="simple",
            disable_numparse=True,
            preserve_whitespace=True,
        )
    for note in (*block.groups, *block.notes):
        yield _wrap(note, width)


def _chunks(lines: list[tuple[RowHead, list[Shown]]], heads: list[str], width: int) -> Iterator[tuple[int, int]]:
    """Ranges of columns that fit side by side, at least one each."""
    labels = max(len(row_text(row)) for row, _ in lines) if lines else 0
    start, used = 0, labels
    for index, head in enumerate(heads):
        wide = 2 + max([len(head), *(len(_text(cells[index])) for _, cells in lines)])
        if index > start and used + wide > width:
            yield start, index
            start, used = index, labels
        used += wide
    yield start, len(heads)


def _claims(report: TableReport, width: int) -> Iterator[str]:
    yield _wrap(f"Claims: {READING}", width)
    yield from _told(report.claims, width)


def _told(claims: Sequence[ClaimResult], width: int) -> Iterator[str]:
    for claim in claims:
        yield _wrap(f"{claim.verdict.upper()}: {sentence(claim)}", width)
        for line in details(claim):
            yield _wrap(f"  {line}", width)


def _text(cell: Shown) -> str:
    return cell.text + MARK if cell.marked else cell.text


def _wrap(text: str, width: int) -> str:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.fill(text, width, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False)
