"""A statement of the paper against our runs: supported, contradicted or inconclusive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from bench.report.cells import ALPHA
from bench.report.model import Block, ClaimResult, Comparison
from bench.report.pairs import adjust, compare_cells
from bench.spec.claim import Claim, Order


def judge(claim: Claim, blocks: Sequence[Block], columns: tuple[str, ...]) -> ClaimResult:
    """The verdict on one claim (of `TableSpec.claims_at`), from the blocks under the paper's snapshot rule.

    Each order of the claim compares its `lower` row with its `higher` row in every column; p is Holm-adjusted over
    all comparisons of the claim. Supported: every comparison shows the claimed order with an adjusted p of at most
    .05. Contradicted: at least one shows the opposite with such a p. Anything else is inconclusive, and the reason
    names what is missing.
    """
    comparisons: list[Comparison] = []
    lacking = []
    for order in claim.orders:
        block = next((block for block in blocks if block.metric == order.metric and block.paper_rule), None)
        for column in order.columns or columns:
            comparison = _compare(order, block, column) if block else None
            comparisons += [comparison] if comparison else []
            lacking += [] if comparison else [_where(claim, column, order)]
    compared = tuple(adjust(comparisons))
    verdict, reason = _verdict(claim, compared, lacking)
    return ClaimResult(claim.id, claim.text, verdict, compared, reason)


def _compare(order: Order, block: Block, column: str) -> Comparison | None:
    low, high = block.cells.get((order.lower, column)), block.cells.get((order.higher, column))
    comparison = compare_cells(low, high, block.metric, column) if low and high else None
    return replace(comparison, rows=(order.lower, order.higher), label=block.label) if comparison else None


def _verdict(
    claim: Claim, compared: tuple[Comparison, ...], lacking: list[str]
) -> tuple[Literal["supported", "contradicted", "inconclusive"], str]:
    clear = [comparison for comparison in compared if comparison.adjusted <= ALPHA]
    if against := [_named(claim, comparison) for comparison in clear if comparison.size > comparison.null]:
        return "contradicted", f"the opposite holds in {', '.join(against)}"
    if lacking:
        why = "missing or diverged runs, or scores of different versions"
        return "inconclusive", f"nothing to compare in {', '.join(lacking)} ({why})"
    if len(clear) == len(compared):
        return "supported", "the order is as claimed in every comparison"
    unclear = [_named(claim, comparison) for comparison in compared if comparison not in clear]
    if all(comparison.df <= 0 for comparison in compared):
        return "inconclusive", "one seed shows no spread; run at least two"
    return "inconclusive", f"not separable in {', '.join(unclear)}"


def _named(claim: Claim, comparison: Comparison) -> str:
    """A comparison by its column, and by rows and score where the claim has several."""
    return (
        comparison.column
        if len(claim.orders) == 1
        else f"{comparison.column} ({comparison.rows[0]} < {comparison.rows[1]}, {comparison.label})"
    )


def _where(claim: Claim, column: str, order: Order) -> str:
    return column if len(claim.orders) == 1 else f"{column} ({order.lower} < {order.higher}, {order.metric})"
