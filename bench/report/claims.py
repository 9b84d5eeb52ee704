"""A paper's sentence against our runs: supported, contradicted or inconclusive."""

from __future__ import annotations

from typing import Literal

from bench.report.cells import ALPHA
from bench.report.model import Block, ClaimResult, Comparison
from bench.report.pairs import adjust, compare_cells
from bench.spec import Claim


def judge(claim: Claim, block: Block, columns: tuple[str, ...]) -> ClaimResult:
    """The verdict on one claim, from the block of its metric under the paper's snapshot rule.

    Each column compares the claim's `lower` row with its `higher` one, Holm-adjusted over the columns.
    Supported: every column shows the claimed order with an adjusted p of at most .05. Contradicted: some
    column shows the opposite with such a p. Anything else is inconclusive, and the reason says what is
    lacking.
    """
    found: list[Comparison] = []
    lacking = []
    for column in claim.columns or columns:
        low, high = block.cells.get((claim.lower, column)), block.cells.get((claim.higher, column))
        one = compare_cells(low, high, claim.metric, column) if low and high else None
        found += [one] if one else []
        lacking += [] if one else [column]
    compared = tuple(adjust(found))
    verdict, reason = _verdict(compared, lacking)
    return ClaimResult(claim.id, claim.text, verdict, compared, reason)


def _verdict(
    compared: tuple[Comparison, ...], lacking: list[str]
) -> tuple[Literal["supported", "contradicted", "inconclusive"], str]:
    clear = [one for one in compared if one.adjusted <= ALPHA]
    if against := [one.column for one in clear if one.size > one.null]:
        return "contradicted", f"the opposite holds in {', '.join(against)}"
    if lacking:
        return "inconclusive", f"nothing to compare in {', '.join(lacking)} (missing or diverged runs)"
    if len(clear) == len(compared):
        return "supported", "the order is as claimed in every column"
    unclear = [one.column for one in compared if one not in clear]
    if all(one.df <= 0 for one in compared):
        return "inconclusive", "one seed shows no spread; run at least two"
    return "inconclusive", f"not separable in {', '.join(unclear)}"
