"""The tables of a page: a block of each score, under the paper's snapshot rule and under the other one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bench.evaluate.registry import output_card
from bench.report.claims.result import ClaimResult
from bench.report.model import Block, Cell, RowHead, Rule, TableReport
from bench.report.render.cell_text import column_text, row_text, shown_columns, shown_rows
from bench.report.render.joined import shown_blocks


@dataclass(frozen=True)
class CellView:
    """A cell as a page shows it. key: what it is sorted by; "" for nothing, which stands last.

    anchor: the place of its details; "" where there is nothing to tell. rank, groups: its rank's interval, "2" or
    "1–4", and the letters of the rows it is not told apart from; "" in a column where no row is told apart.
    """

    text: str
    key: str
    anchor: str
    mark: str
    rank: str = ""
    groups: str = ""


@dataclass(frozen=True)
class RowView:
    """A row: its head, what kind of row it is, and its cells."""

    head: RowHead
    label: str
    cells: Sequence[CellView]

    @property
    def id_too(self) -> bool:
        """Whether the id stands beside the label: labels such as "+ DISP" repeat, and mean the row above them."""
        return self.head.kind not in ("reference", "printed") and self.head.id != self.head.label


@dataclass(frozen=True)
class Plot:
    """The seeds of a score as dots: an SVG element of the page, and the address of the same picture as PNG."""

    svg: Markup
    png: str


@dataclass(frozen=True)
class RuleView:
    """A score under one snapshot rule."""

    block: Block
    columns: Sequence[str]
    rows: Sequence[RowView]
    plot: Plot | None = None

    @property
    def rule(self) -> Rule:
        """best or final."""
        return self.block.rule

    @property
    def ranked(self) -> bool:
        """Whether any cell has a rank."""
        return any(cell.rank for row in self.rows for cell in row.cells)


@dataclass(frozen=True)
class ScoreView:
    """A score: its tables by snapshot rule, the table's own rule first, and the claims that compare it."""

    name: str
    direction: str
    rules: Sequence[RuleView]
    claims: Sequence[ClaimResult]


def score_views(report: TableReport) -> list[ScoreView]:
    """Every score of a report in the order of its blocks; a claim of several scores stands with each of them."""
    grouped: dict[tuple[str, str, str], list[Block]] = {}
    for block in shown_blocks(report):
        grouped.setdefault((block.metric, block.extractor, block.label), []).append(block)
    return [
        ScoreView(
            blocks[0].axis,
            blocks[0].measure.direction,
            [_rule(report, block) for block in blocks],
            [claim for claim in report.claims if _compares(claim, blocks[0], report)],
        )
        for blocks in grouped.values()
    ]


def other_claims(report: TableReport) -> list[ClaimResult]:
    """The claims that no score of the page is compared in."""
    shown = shown_blocks(report)
    return [claim for claim in report.claims if not any(_compares(claim, block, report) for block in shown)]


def rules_of(scores: Sequence[ScoreView]) -> list[Rule]:
    """The snapshot rules of a page, the table's own first."""
    return list(dict.fromkeys(rule.rule for score in scores for rule in score.rules))


def anchor_of(report: TableReport, row: str, column: str) -> str:
    """The place of a cell's details: by number, as names may be anything."""
    rows, columns = [head.id for head in report.rows], [head.id for head in report.columns]
    return f"cell-{rows.index(row) + 1}-{columns.index(column) + 1}"


def _compares(claim: ClaimResult, block: Block, report: TableReport) -> bool:
    return any((name or report.main) in (block.metric, *block.parts) for name in claim.scores)


def _rule(report: TableReport, block: Block) -> RuleView:
    columns = shown_columns(report, block)
    rows = [
        RowView(
            row,
            row_text(row).strip(),
            [_cell(report, block, row.id, column.id, shown.text) for column, shown in zip(columns, cells, strict=True)],
        )
        for row, cells in shown_rows(report, block)
    ]
    return RuleView(block, [column_text(column) for column in columns], rows)


def _cell(report: TableReport, block: Block, row: str, column: str, text: str) -> CellView:
    cell = block.cells.get((row, column), Cell())
    ran = any(count for status, count in cell.statuses.items() if status != "missing")
    anchor = anchor_of(report, row, column) if ran else ""
    apart = any(one.mark for (_, name), one in block.cells.items() if name == column)
    rank = "–".join(str(end) for end in dict.fromkeys(cell.rank)) if cell.rank and apart else ""
    return CellView(text, _key(cell, block), anchor, cell.mark, rank, cell.groups if rank else "")


def _key(cell: Cell, block: Block) -> str:
    """The number by which a cell is sorted: its centre, else the printed one; a distance from 0 where that is best."""
    value = cell.centre
    if math.isnan(value) and cell.printed is not None:
        value = float(cell.printed)
    card = output_card(block.metric)
    return "" if math.isnan(value) else repr(float(card.compared_as(value)))
