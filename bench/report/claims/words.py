"""Claims in words: operands, comparisons, what the runs say and what the paper's own numbers say."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.claims.expressions import Expression, Made, Pick, Place
from bench.report.claims.result import ClaimResult, Compared, Printed

READING = (
    "supported: each comparison has a p of at most .05; contradicted: the opposite of one has, after Holm's correction "
    "over all comparisons of the claim (adjusted); ratios and differences are of the left side to the right one."
)
SHOWN = 6  # places that a reason names before it says how many more there are
OF = {
    "value": "{}", "abs": "|{}|", "error": "error of {}", "spread": "relative sd of {}", "sd": "sd of {}",
    "steps": "steps of {}", "minutes": "minutes of {}",
    "run_score": "the score of the run of {}",
}  # fmt: skip


def name(expression: Expression, home: str, pinned: bool = False) -> str:
    """An operand: "scratch+disp", "sle/table4 baseline", "min(a, b)", "a - b". pinned: with each cell's column."""
    if isinstance(expression, float):
        return f"{expression:g}"
    if isinstance(expression, Place):
        row = expression.row if expression.table == home else f"{expression.table} {expression.row}"
        whole = f"{row}/{expression.column}" if pinned else row
        at = f" at {expression.snapshot:g}" if isinstance(expression.snapshot, float) else ""
        rule = f" ({expression.snapshot})" if expression.snapshot in ("best", "final") else at
        step = f" at step {expression.snapshot}" if isinstance(expression.snapshot, int) else rule
        return OF[expression.of].format(whole + step)
    if isinstance(expression, Pick):
        return f"{expression.by}({', '.join(name(one, home, pinned) for one in expression.options)})"
    sides = [name(one, home, pinned) for one in (expression.left, expression.right)]
    inner = [f"({text})" if isinstance(one, Made) else text
             for one, text in zip((expression.left, expression.right), sides)]  # fmt: skip
    return (" - " if expression.by == "minus" else " / ").join(inner)


def compared_text(compared: Compared) -> str:
    """A comparison: "anime, scratch+disp < scratch, FID: ratio 0.62 [0.51, 0.75], p = 0.003, n = 3 shared seeds"."""
    found = compared.finding
    if compared.what == "diverged":
        return f"{compared.where}: one side diverged at all {found.n} seeds, the other at none, {_p(compared)}"
    sign = "+" if compared.what in ("difference", "slope") else ""
    size = f"{compared.where}: {compared.what} {found.estimate:{sign}#.3g}"
    if compared.what == "tau":
        return f"{size} of {found.n} rows, {_p(compared)}" if found.df > 0 else f"{size}: too few seeds"
    if found.df <= 0:
        return f"{size}, n = {found.n}: too few seeds for an interval"
    seeds = "seeds of the smaller sample, not shared (Welch)" if compared.paired is False else "seeds"
    seeds = "shared seeds" if compared.paired else seeds
    return f"{size} [{found.low:{sign}#.3g}, {found.high:{sign}#.3g}], {_p(compared)}, n = {found.n} {seeds}"


def sentence(claim: ClaimResult) -> str:
    """The claim and what decided: "DISP lowers FID (disp.t1.fid; 5.1): it is as claimed in every comparison"."""
    where = "; ".join(filter(None, (claim.id, claim.place)))
    return f"{claim.text.rstrip('.')} ({where})" + (f": {claim.reason}" if claim.reason else "")


def details(claim: ClaimResult) -> list[str]:
    """The lines below a claim: each comparison, what the paper's own numbers say, and how we read the sentence."""
    lines = [compared_text(compared) for compared in claim.comparisons]
    lines += [printed_text(claim.printed)] if claim.printed else []
    return [*lines, *([f"note: {claim.note}"] if claim.note else [])]


def printed_text(printed: Printed | None) -> str:
    """What the paper's own numbers say, in one sentence; "-" where it prints none of them."""
    if printed is None:
        return "-"
    said = f"the paper's own numbers: {printed.agree}/{printed.of} comparisons agree"
    return said + (f"; against its sentence: {'; '.join(printed.against)}" if printed.against else "")


def listed(items: Sequence[str], between: str = ", ") -> str:
    """The first of several, and how many more there are."""
    more = len(items) - SHOWN
    return between.join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _p(compared: Compared) -> str:
    p, adjusted = _p_value(compared.p), _p_value(compared.adjusted)
    return f"p {p}" + (f" (adjusted {adjusted})" if compared.adjusted != compared.p else "")


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
