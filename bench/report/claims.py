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

    Each order of the claim compares its `lower` row with its `higher` one in every column, Holm-adjusted over
    all comparisons of the claim. Supported: every one of them shows the claimed order with an adjusted p of at
    most .05. Contradicted: some shows the opposite with such a p. Anything else is inconclusive, and the
    reason says what is lacking.
    """
    found: list[Comparison] = []
    lacking = []
    for order in claim.orders:
        block = next((one for one in blocks if one.metric == order.metric and one.paper_rule), None)
        for column in order.columns or columns:
            one = _compare(order, block, column) if block else None
            found += [one] if one else []
            lacking += [] if one else [_where(claim, column, order)]
    compared = tuple(adjust(found))
    verdict, reason = _verdict(claim, compared, lacking)
    return ClaimResult(claim.id, claim.text, verdict, compared, reason)


def _compare(order: Order, block: Block, column: str) -> Comparison | None:
    low, high = block.cells.get((order.lower, column)), block.cells.get((order.higher, column))
    one = compare_cells(low, high, block.metric, column) if low and high else None
    return replace(one, rows=(order.lower, order.higher), label=block.label) if one else None


def _verdict(
    claim: Claim, compared: tuple[Comparison, ...], lacking: list[str]
) -> tuple[Literal["supported", "contradicted", "inconclusive"], str]:
    clear = [one for one in compared if one.adjusted <= ALPHA]
    if against := [_told(claim, one) for one in clear if one.size > one.null]:
        return "contradicted", f"the opposite holds in {', '.join(against)}"
    if lacking:
        why = "missing or diverged runs, or scores of different versions"
        return "inconclusive", f"nothing to compare in {', '.join(lacking)} ({why})"
    if len(clear) == len(compared):
        return "supported", "the order is as claimed in every comparison"
    unclear = [_told(claim, one) for one in compared if one not in clear]
    if all(one.df <= 0 for one in compared):
        return "inconclusive", "one seed shows no spread; run at least two"
    return "inconclusive", f"not separable in {', '.join(unclear)}"


def _told(claim: Claim, one: Comparison) -> str:
    """A comparison by its column, and by rows and score where the claim has several."""
    return (
        one.column if len(claim.orders) == 1 else f"{one.column} ({one.rows[0]} < {one.rows[1]}, {one.label})"
    )


def _where(claim: Claim, column: str, order: Order) -> str:
    return column if len(claim.orders) == 1 else f"{column} ({order.lower} < {order.higher}, {order.metric})"
