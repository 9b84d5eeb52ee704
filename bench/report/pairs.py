"""Two cells side by side: over shared seeds where there are at least two, else by Welch's test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bench.evaluate.registry import output_card
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
    """`a` against `b`: the ratio a / b or the difference a - b, as the metric's card says; of distances from 0 where
    nearer to 0 is better.

    None where a cell has a diverged seed or no value, where the cells have different versions of the score, or where
    a ratio would need a value of 0 or less.
    """
    card = output_card(metric)
    ratio = card.is_ratio
    if not (a.sound and b.sound) or a.version != b.version or (ratio and min(*a.values, *b.values) <= 0):
        return None
    of_a, of_b = ({seed: card.compared_as(value) for seed, value in zip(c.seeds, c.values)} for c in (a, b))
    shared = sorted(of_a.keys() & of_b.keys())
    if len(shared) > 1 or of_a.keys() == of_b.keys():
        x, y = [of_a[seed] for seed in shared], [of_b[seed] for seed in shared]
        return _comparison(paired_ratio(x, y) if ratio else paired_difference(x, y), column, True)
    x, y = list(of_a.values()), list(of_b.values())
    return _comparison(welch_ratio(x, y) if ratio else welch_difference(x, y), column, False)


def standing(cell: Cell, metric: str) -> float:
    """What ranks a sound cell among others: the smaller, the better. UserError where neither way is better."""
    card = output_card(metric)
    if card.better == "zero":  # of each seed, as it is compared
        return float(np.mean([card.loss(value) for value in cell.values]))
    return card.loss(cell.centre)


def adjust(comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons with their p values Holm-adjusted over all of them."""
    return [
        replace(comparison, adjusted=p)
        for comparison, p in zip(comparisons, holm([comparison.p for comparison in comparisons]))
    ]


def comparison_text(comparison: Comparison) -> str:
    """For example "ratio 0.62 [0.51, 0.75], p = 0.003, n = 3 shared seeds"."""
    sign = "+" if comparison.what == "difference" else ""
    if comparison.df <= 0:
        return f"{comparison.what} {comparison.size:{sign}#.3g}, n = {comparison.n}: too few seeds for an interval"
    limits = f"[{comparison.low:{sign}#.3g}, {comparison.high:{sign}#.3g}]"
    seeds = "shared seeds" if comparison.paired else "seeds of the smaller sample, not shared (Welch)"
    p = "p < 0.001" if comparison.adjusted < 0.001 else f"p = {comparison.adjusted:.2g}"
    return f"{comparison.what} {comparison.size:{sign}#.3g} {limits}, {p}, n = {comparison.n} {seeds}"


def visible_gap(comparison: Comparison) -> str | None:
    """The gap that this comparison could have seen, in words; None for differences."""
    if comparison.what != "ratio":
        return None
    return gap_text(
        minimum_detectable_ratio(comparison.sd, comparison.n, df=comparison.df) if comparison.df > 0 else math.inf
    )


def gap_text(ratio: float) -> str:
    """A detectable ratio in words: a gap in per cent, or none at all."""
    return "none" if ratio > 1000 else f"{100 * (ratio - 1):.0f} %"


def _comparison(test: Ratio | Difference, column: str, paired: bool) -> Comparison:
    rest = (test.low, test.high, test.p, test.p, test.n, test.df, test.sd, paired)
    if isinstance(test, Ratio):
        return Comparison(column, "ratio", test.ratio, *rest)
    return Comparison(column, "difference", test.difference, *rest)
