"""A report as CSV: the raw scores, from which everything can be computed again, and the cells."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.report.claims.page import ClaimsPage
from bench.report.claims.words import compared_text
from bench.report.model import Block, Cell, TableReport


def raw(report: TableReport) -> str:
    """Every score of every seed and snapshot, as `load_results` returns them, after table and scale."""
    frame = report.results.copy()
    frame.insert(0, "table", report.name)
    frame.insert(1, "scale", report.scale)
    return frame.to_csv(index=False)


def cells(report: TableReport) -> str:
    """One line per cell: the reduction with its interval or spread, the printed number, verdict and mark.

    `x` is its place on the axis of a figure over columns or a setting.
    `values` lists the seeds' own scores as seed:value, so that each line can be checked by itself.
    """
    lines = [
        {
            "table": report.name,
            "scale": report.scale,
            "row": row.id,
            "column": column.id,
            "x": report.curve.x.get((row.id, column.id), math.nan) if report.curve else math.nan,
            **_line(block, cell),
        }
        for block in report.blocks
        for row in report.rows
        for column in report.columns
        if block.shows(row) and block.shows(column) and (cell := block.cells.get((row.id, column.id))) is not None
    ]
    return pd.DataFrame(lines).to_csv(index=False)


def claims(page: ClaimsPage) -> str:
    """One line per claim: the verdict of our runs, every comparison, and what the paper's own numbers say."""
    lines = [
        {
            "table": group.table,
            "claim": claim.id,
            "place": claim.place,
            "text": claim.text,
            "scale": page.scale,
            "verdict": claim.verdict,
            "reason": claim.reason,
            "n": min((compared.finding.n for compared in claim.comparisons), default=0),
            "comparisons": " | ".join(compared_text(compared) for compared in claim.comparisons),
            "printed_agree": claim.printed.agree if claim.printed else None,
            "printed_of": claim.printed.of if claim.printed else None,
            "printed_against": "; ".join(claim.printed.against) if claim.printed else "",
            "note": claim.note,
        }
        for group in page.groups
        for claim in group.claims
    ]
    return pd.DataFrame(lines).astype({"printed_agree": "Int64", "printed_of": "Int64"}).to_csv(index=False)


def _line(block: Block, cell: Cell) -> dict[str, Any]:
    interval, spread = cell.interval, cell.spread
    either = interval or spread
    return {
        "metric": block.metric,
        "extractor": block.extractor,
        "label": block.label,
        "reference_split": block.split,
        "snapshot": block.rule,
        "mean": interval.mean if interval else math.nan,
        "median": spread.median if spread else math.nan,
        "low": either.low if either else math.nan,
        "high": either.high if either else math.nan,
        "half_width": interval.half_width if interval else math.nan,
        "sd": interval.sd if interval else math.nan,
        "df": interval.df if interval else math.nan,
        "pooled": cell.pooled,
        "n": len(cell.values),
        "ok": spread.ok if spread else len(cell.values),
        "planned": cell.total,
        "statuses": " ".join(f"{name}:{count}" for name, count in sorted(cell.statuses.items())),
        "printed": cell.printed,
        "verdict": cell.verdict,
        "mark": cell.mark,
        "best_of_seeds": cell.best_of,
        "version": cell.version,
        "values": " ".join(f"{seed}:{value!r}" for seed, value in zip(cell.seeds, cell.values)),
        "rank_low": cell.rank[0] if cell.rank else None,
        "rank_high": cell.rank[1] if cell.rank else None,
        "groups": cell.groups,
    }
