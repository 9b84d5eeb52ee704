"""Two cells side by side: over shared seeds where there are at least two, else by Welch's test."""

from __future__ import annotations

import math
from dataclasses import replace

from bench.metrics.measures import measure
from bench.report.model import Cell, Comparison
from bench.stats import (
    Difference,
    Ratio,
    holm,
    minimum_detectable_ratio,
    paired_difference,
    paired_ratio,
    welch_difference,
    welch_ratio,
)


def compare_cells(a: Cell, b: Cell, metric: str, column: str = "") -> Comparison | None:
    """`a` against `b`: the ratio a / b or the difference a - b, as the metric's card says.

    None where either cell has a diverged seed or no value, where they have different versions of the score, or
    where a value of 0 or less has no ratio.
    """
    ratio = measure(metric).is_ratio
    if not (a.sound and b.sound) or a.version != b.version or (ratio and min(*a.values, *b.values) <= 0):
        return None
    of_a, of_b = dict(zip(a.seeds, a.values)), dict(zip(b.seeds, b.values))
    shared = sorted(of_a.keys() & of_b.keys())
    if len(shared) > 1 or of_a.keys() == of_b.keys():
        x, y = [of_a[seed] for seed in shared], [of_b[seed] for seed in shared]
        return _comparison(paired_ratio(x, y) if ratio else paired_difference(x, y), column, True)
    test = welch_ratio(a.values, b.values) if ratio else welch_difference(a.values, b.values)
    return _comparison(test, column, False)


def adjust(comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons with their p values Holm-adjusted over all of them."""
    return [replace(one, adjusted=p) for one, p in zip(comparisons, holm([one.p for one in comparisons]))]


def claim_text(one: Comparison) -> str:
    """A comparison of a claim, for example "anime, scratch+disp to scratch, FID: ratio 0.62 ..."."""
    return f"{one.column}, {one.rows[0]} to {one.rows[1]}, {one.label}: {comparison_text(one)}"


def comparison_text(one: Comparison) -> str:
    """For example "ratio 0.62 [0.51, 0.75], p = 0.003, n = 3 shared seeds"."""
    sign = "+" if one.what == "difference" else ""
    if one.df <= 0:
        return f"{one.what} {one.size:{sign}#.3g}, n = {one.n}: too few seeds for an interval"
    limits = f"[{one.low:{sign}#.3g}, {one.high:{sign}#.3g}]"
    seeds = "shared seeds" if one.paired else "seeds of the smaller sample, not shared (Welch)"
    p = "p < 0.001" if one.adjusted < 0.001 else f"p = {one.adjusted:.2g}"
    return f"{one.what} {one.size:{sign}#.3g} {limits}, {p}, n = {one.n} {seeds}"


def visible_gap(one: Comparison) -> str | None:
    """The gap that this comparison could have seen, in words; None for differences."""
    if one.what != "ratio":
        return None
    return gap_text(minimum_detectable_ratio(one.sd, one.n, df=one.df) if one.df > 0 else math.inf)


def gap_text(ratio: float) -> str:
    """A detectable ratio in words: a gap in per cent, or none at all."""
    return "none" if ratio > 1000 else f"{100 * (ratio - 1):.0f} %"


def _comparison(test: Ratio | Difference, column: str, paired: bool) -> Comparison:
    rest = (test.low, test.high, test.p, test.p, test.n, test.df, test.sd, paired)
    if isinstance(test, Ratio):
        return Comparison(column, "ratio", test.ratio, *rest)
    return Comparison(column, "difference", test.difference, *rest)
