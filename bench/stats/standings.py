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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from bench.stats.comparisons import Difference, holm, minimum_detectable_ratio, paired_difference
from bench.stats.intervals import ALIKE

ROUNDING = 1e-12  # of a value: what is smaller is float64's rounding
Scores = Mapping[Any, float]  # of one thing, by block: any key that can be hashed


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
    fit = _fit(things)
    own = [thing for thing, counts in zip(things, replicates or [True] * len(things)) if counts]
    spread = _fit(own) if len(own) > 1 else fit
    if spread.df <= 0:
        return None
    # The pairs, and what they rest on
    pairs = list(itertools.combinations(range(len(things)), 2))
    n = min(len(thing) for thing in things)
    # Pairs that are told apart, by one spread or by each pair's own
    if _alike(spread.residuals):
        q = _range_point(confidence, len(things), spread.df)
        sd, df = math.sqrt(2) * spread.sd, spread.df
        alpha = float(2 * stats.t.sf(q / math.sqrt(2), df))
        reach = {pair: q * spread.sd * math.sqrt(fit.variance(*pair) / 2) for pair in pairs}
        least = ROUNDING * float(np.abs(fit.levels).max())  # equal scores are equal, also where there is no spread
        apart = [pair for pair in pairs if abs(fit.difference(*pair)) > max(reach[pair], least)]
    else:
        tests = {pair: _paired(*(things[i] for i in pair)) for pair in pairs}
        known = {pair: test for pair, test in tests.items() if test is not None}
        adjusted = dict(zip(known, holm([test.p for test in known.values()])))
        apart = [pair for pair, p in adjusted.items() if p <= 1 - confidence]
        sd = math.sqrt(float(np.mean([test.sd**2 for test in known.values()]))) if known else math.nan
        df, alpha = float(n - 1), (1 - confidence) / max(len(known), 1)
    ordered = frozenset((i, j) if fit.difference(i, j) < 0 else (j, i) for i, j in apart)
    order = sorted(range(len(things)), key=lambda i: fit.level(i))
    return Standings(
        low=tuple(1 + sum(worse == i for _, worse in ordered) for i in range(len(things))),
        high=tuple(len(things) - sum(better == i for better, _ in ordered) for i in range(len(things))),
        groups=_groups(order, ordered),
        apart=ordered,
        n=n,
        sd=sd,
        df=df,
        alpha=alpha,
        pooled=_alike(spread.residuals),
    )


@dataclass(frozen=True)
class _Fit:
    """The additive fit: levels of things, the matrix of their variances, residuals by thing, sd and df."""

    levels: np.ndarray
    covariance: np.ndarray
    connected: np.ndarray
    residuals: list[np.ndarray]
    sd: float
    df: float

    def level(self, i: int) -> float:
        return float(self.levels[i])

    def difference(self, i: int, j: int) -> float:
        return float(self.levels[i] - self.levels[j])

    def variance(self, i: int, j: int) -> float:
        """Of a difference, in units of s^2; infinite for two that no block connects."""
        if self.connected[i] != self.connected[j]:
            return math.inf
        c = self.covariance
        return float(c[i, i] + c[j, j] - 2 * c[i, j])


def _fit(things: Sequence[Scores]) -> _Fit:
    """Least squares of thing + block, over the scores that there are."""
    blocks = {block: place for place, block in enumerate(dict.fromkeys(b for thing in things for b in thing))}
    where = np.array([(i, blocks[block]) for i, thing in enumerate(things) for block in thing])
    x = np.array([value for thing in things for value in thing.values()], float)
    design = np.zeros((x.size, len(things) + len(blocks)))
    design[np.arange(x.size), where[:, 0]] = 1
    design[np.arange(x.size), len(things) + where[:, 1]] = 1
    inverse = np.linalg.pinv(design.T @ design)
    solution = inverse @ design.T @ x
    residual = x - design @ solution
    residual[np.abs(residual) <= ROUNDING * float(np.abs(x).max())] = 0.0  # rounding errors are no spread
    df = float(x.size - np.linalg.matrix_rank(design))
    return _Fit(
        levels=solution[: len(things)],
        covariance=inverse[: len(things), : len(things)],
        connected=_components(things),
        residuals=[residual[where[:, 0] == i] for i in range(len(things))],
        sd=math.sqrt(float((residual**2).sum()) / df) if df > 0 else math.nan,
        df=df,
    )


def _components(things: Sequence[Scores]) -> np.ndarray:
    """A number for each thing, equal where blocks connect them."""
    label = np.arange(len(things))
    for i, j in itertools.combinations(range(len(things)), 2):
        if things[i].keys() & things[j].keys():
            label[label == label[j]] = label[i]
    return label


def _alike(residuals: Sequence[np.ndarray]) -> bool:
    """Whether the things' spreads may be one: Bartlett's test does not reject at 5 %. Two things always have one."""
    samples = [x for x in residuals if x.size > 1]
    flat = [not x.any() for x in samples]
    if len(samples) < 3 or all(flat):
        return True
    return not any(flat) and float(stats.bartlett(*samples).pvalue) > ALIKE


def _paired(a: Scores, b: Scores) -> Difference | None:
    """The paired test of two things; None where they share fewer than two blocks."""
    shared = [block for block in a if block in b]
    return paired_difference([a[s] for s in shared], [b[s] for s in shared]) if len(shared) > 1 else None


@cache
def _range_point(confidence: float, things: int, df: float) -> float:
    return float(stats.studentized_range.ppf(confidence, things, df))


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
