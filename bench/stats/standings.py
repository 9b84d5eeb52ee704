"""Which of several things can be told apart: ranks with intervals, and groups of those that cannot.

Thing i has the score x_ij in block j (a seed, which all of them share): x_ij = a_i + b_j + e_ij. The spread of e is
that of the paired differences over all things at once: s^2 is the residual mean square of this fit, with (K - 1)(N - 1)
degrees of freedom for K things in N blocks, where a pair alone has N - 1. Two are told apart where |a_i - a_j| >
q s sqrt(v / 2), with v s^2 the variance of the difference (v = 2 / N) and q the 95 % point of the studentised range of
K things (Tukey 1953; Kramer 1956 for unequal v): in 95 % of all tables not one pair that is equal is told apart.

A rank then lies between 1 + the number of things that are better and K - the number of those that are worse, for all
things at once (Al Mohamad, Goeman and van Zwet 2022). Groups are the largest sets of which no pair is told apart (a
compact letter display, Piepho 2004).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.additive import ROUNDING, Scores, alike, fit, range_point
from bench.stats.comparisons import Difference, holm, minimum_detectable_ratio, paired_difference
from bench.stats.distributions import t_above


@dataclass(frozen=True)
class Standings:
    """What is known of the order of K things, the smallest score first.

    low, high: of each thing's rank. groups: positions of things that cannot be told apart, each group in order of the
    scores; the groups in order of their best. apart: (better, worse) pairs that are. n: blocks of the thing that has
    the fewest. sd: of a paired difference, with df. alpha: of one two-sided comparison.
    pooled: whether all pairs share this sd; else each pair has its own, and sd is their root mean square.
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    apart: frozenset[tuple[int, int]]
    n: int
    sd: float
    df: float
    alpha: float
    pooled: bool

    def detectable(self, power: float = 0.8) -> float:
        """The true difference, as a ratio of exponentials, by which a pair is told apart with this power."""
        return minimum_detectable_ratio(self.sd, self.n, self.alpha, power, self.df)


def standings(
    things: Sequence[Scores], replicates: Sequence[bool] | None = None, confidence: float = 0.95
) -> Standings | None:
    """The order of two or more things whose scores are losses; None where no spread is known (one block).

    replicates: which things the spread is taken from; None: all. One that has another's noise is none.
    Where the things' own spreads differ (Bartlett's test on the residuals), every pair has its own, and p is
    Holm-adjusted over all pairs. Two things that share no block, directly or through others, are not told apart.
    """
    fitted = fit(things)
    own = [thing for thing, counts in zip(things, replicates or [True] * len(things)) if counts]
    spread = fit(own) if len(own) > 1 else fitted
    if spread.df <= 0:
        return None
    # The pairs, and what they rest on
    pairs = list(itertools.combinations(range(len(things)), 2))
    n = min(len(thing) for thing in things)
    # Pairs that are told apart, by one spread or by each pair's own
    if pooled := alike(spread.residuals):
        q = range_point(confidence, len(things), spread.df)
        sd, df = math.sqrt(2) * spread.sd, spread.df
        alpha = 2 * t_above(q / math.sqrt(2), df)
        reach = {pair: q * spread.sd * math.sqrt(fitted.variance(*pair) / 2) for pair in pairs}
        least = ROUNDING * float(np.abs(fitted.levels).max())  # equal scores are equal, also where there is no spread
        apart = [pair for pair in pairs if abs(fitted.difference(*pair)) > max(reach[pair], least)]
    else:
        tests = {pair: _paired(*(things[i] for i in pair)) for pair in pairs}
        known = {pair: test for pair, test in tests.items() if test is not None}
        adjusted = dict(zip(known, holm([test.p for test in known.values()])))
        apart = [pair for pair, p in adjusted.items() if p <= 1 - confidence]
        sd = math.sqrt(float(np.mean([test.sd**2 for test in known.values()]))) if known else math.nan
        df, alpha = float(n - 1), (1 - confidence) / max(len(known), 1)
    ordered = frozenset((i, j) if fitted.difference(i, j) < 0 else (j, i) for i, j in apart)
    order = sorted(range(len(things)), key=lambda i: fitted.level(i))
    return Standings(
        low=tuple(1 + sum(worse == i for _, worse in ordered) for i in range(len(things))),
        high=tuple(len(things) - sum(better == i for better, _ in ordered) for i in range(len(things))),
        groups=_groups(order, ordered),
        apart=ordered,
        n=n,
        sd=sd,
        df=df,
        alpha=alpha,
        pooled=pooled,
    )


def _paired(a: Scores, b: Scores) -> Difference | None:
    """The paired test of two things; None where they share fewer than two blocks."""
    shared = [block for block in a if block in b]
    return paired_difference([a[s] for s in shared], [b[s] for s in shared]) if len(shared) > 1 else None


def _groups(order: Sequence[int], apart: frozenset[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """The largest sets without a pair that is told apart: start with all, split at every pair, drop what is inside."""
    groups = [frozenset(order)]
    for better, worse in apart:
        split = [part for group in groups for part in
                 ([group - {better}, group - {worse}] if {better, worse} <= group else [group])]  # fmt: skip
        groups = [one for one in dict.fromkeys(split) if not any(one < other for other in split)]
    place = {i: rank for rank, i in enumerate(order)}
    listed = [tuple(sorted(group, key=place.__getitem__)) for group in groups]
    return tuple(sorted(listed, key=lambda group: [place[i] for i in group]))
