"""A report as plain data for programs: `bench report --json`."""

from __future__ import annotations

from typing import Any

from bench.report.claims.page import ClaimsPage
from bench.report.claims.result import ClaimResult
from bench.report.claims.words import compared_text
from bench.report.model import Block, Cell, TableReport

Data = dict[str, Any]


def table_data(report: TableReport) -> Data:
    """Rows, columns, and for each score and snapshot rule the cells; claims with their verdicts; notes."""
    return {
        "table": report.name,
        "scale": report.scale,
        "title": report.title,
        "paper": report.paper,
        "rows": [{"id": row.id, "label": row.label, "kind": row.kind, "why_printed_only": row.why}
                 for row in report.rows],
        "columns": [{"id": column.id, "label": column.label, "dataset": column.name, "stands_in_for": column.stand_in,
                     "generated": column.generated, "reference": column.reference, "split": column.split}
                    for column in report.columns],
        "scores": [_block(report, block) for block in report.blocks],
        "claims": [_claim(claim) for claim in report.claims],
        "caption": list(report.caption),
        "notes": list(report.notes),
    }  # fmt: skip


def claims_data(page: ClaimsPage) -> Data:
    """The claims of a page by table."""
    return {
        "scale": page.scale,
        "tables": [
            {"table": group.table, "claims": [_claim(claim) for claim in group.claims]} for group in page.groups
        ],
    }


def _block(report: TableReport, block: Block) -> Data:
    cells = [
        {"row": row.id, "column": column.id, **_cell(cell)}
        for row in report.rows
        for column in report.columns
        if block.shows(row) and block.shows(column) and (cell := block.cells.get((row.id, column.id))) is not None
    ]
    return {
        "metric": block.metric,
        "extractor": block.extractor,
        "label": block.label,
        "unit": block.measure.unit,
        "better": block.measure.better,
        "snapshot": block.rule,
        "table_rule": block.paper_rule,
        "reference_split": block.split,
        "cells": cells,
        "notes": list(block.notes),
    }


def _cell(cell: Cell) -> Data:
    """Values by seed, the reduction (mean with its 95 % limits, or median and range where a seed diverged), marks."""
    interval, spread = cell.interval, cell.spread
    reduced: Data = {"mean": None, "sd": None, "median": None, "low": None, "high": None}
    if interval is not None:
        reduced |= {"mean": interval.mean, "sd": interval.sd, "low": interval.low, "high": interval.high}
    elif spread is not None:
        reduced |= {"median": spread.median, "low": spread.low, "high": spread.high}
    return {
        "values": dict(zip(cell.seeds, cell.values, strict=True)),
        **reduced,
        "seeds": dict(cell.statuses),
        "mark": cell.mark or None,
        "rank": cell.rank,
        "groups": cell.groups or None,
        "best_of": cell.best_of,
        "version": cell.version,
        "printed": cell.printed,
        "verdict": cell.verdict,
    }


def _claim(claim: ClaimResult) -> Data:
    printed = claim.printed
    return {
        "id": claim.id,
        "text": claim.text,
        "place": claim.place,
        "verdict": claim.verdict,
        "reason": claim.reason,
        "comparisons": [compared_text(compared) for compared in claim.comparisons],
        "printed": None if printed is None else {"agree": printed.agree, "of": printed.of},
    }
