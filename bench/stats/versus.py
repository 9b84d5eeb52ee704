"""One thing against each of several others: differences with limits, as careful about their number as `standings` is.

Where all share their blocks (seeds) and their spreads are alike (Bartlett's test on the residuals), the noise is that
of all things at once, and limits and p are Tukey's for all pairs of them (`standings` says how): what is told apart
here is what is told apart there. Else every pair has its own test, paired over shared blocks or Welch's, p is
Holm-adjusted over the pairs that are made, and limits are those of a pair alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bench.stats.additive import ROUNDING, Fit, Scores, alike, fit, range_point, range_point_near
from bench.stats.comparisons import Difference, holm, paired_difference, welch_difference
from bench.stats.distributions import t_above, t_point
from bench.stats.power import Critical, Needed, needed


@dataclass(frozen=True)
class Pairing:
    """The one thing less another. test.p: of this pair alone; adjusted: for all; nan where no test is possible.

    sd: of the difference of one block of either, with test.df degrees of freedom. paired: over shared blocks.
    """

    test: Difference
    adjusted: float
    apart: bool
    sd: float
    paired: bool


@dataclass(frozen=True)
class Versus:
    """One thing against the others, in their order. pooled: whether one spread serves all pairs; confidence: of it.

    family: how many things (pooled) or how many pairs are held to the confidence together.
    """

    pairings: tuple[Pairing, ...]
    pooled: bool
    family: int
    confidence: float

    def needed(self, place: int, difference: float | None = None, power: float = 0.8) -> Needed | None:
        """The blocks by which a pair would be told apart; difference: the true one, by default what was seen.

        None where nothing is known of the spread.
        """
        pair = self.pairings[place]
        if not pair.test.df > 0:
            return None
        true = pair.test.difference if difference is None else difference
        return needed(true, pair.sd, pair.test.df, self._critical(pair), power)

    def _critical(self, pair: Pairing) -> Critical:
        """What |t| must exceed with so many blocks of either, and its degrees of freedom."""
        if self.pooled:
            things, confidence = self.family, self.confidence

            def by_range(blocks: int) -> tuple[float, float]:
                df = float((things - 1) * (blocks - 1))
                return range_point_near(confidence, things, df) / math.sqrt(2), df

            return by_range
        # The first step of Holm's: the smallest p must be below alpha / family. df grows with the blocks less one
        alpha, a_block = (1 - self.confidence) / self.family, pair.test.df / max(pair.test.n - 1, 1)

        def by_pair(blocks: int) -> tuple[float, float]:
            df = a_block * (blocks - 1)
            return t_point(1 - alpha / 2, df), df

        return by_pair


def versus(
    one: Scores, others: Sequence[Scores], replicates: Sequence[bool] | None = None, confidence: float = 0.95
) -> Versus:
    """Compare one thing with each of one or more others; scores are as they are to be subtracted (logs for ratios).

    replicates: of the one and the others, which the spread is taken from (None: all), as in `standings`.
    """
    things = [one, *others]
    own = [thing for thing, counts in zip(things, replicates or [True] * len(things)) if counts]
    if all(_shares(one, other) for other in others):
        fitted = fit(things)
        spread = fit(own) if len(own) > 1 else fitted
        if spread.df > 0 and alike(spread.residuals):
            made = tuple(_pooled(things, place, fitted, spread, confidence) for place in range(1, len(things)))
            return Versus(made, True, len(things), confidence)
    alone = [_alone(one, other) for other in others]
    adjusted = holm([pair.test.p for pair in alone])
    tested = max(sum(not math.isnan(p) for p in adjusted), 1)
    pairs = (replace(pair, adjusted=p, apart=p <= 1 - confidence) for pair, p in zip(alone, adjusted))
    return Versus(tuple(pairs), False, tested, confidence)


def _shares(one: Scores, other: Scores) -> bool:
    """Whether two things are compared over shared blocks: at least two of them, or all that either has."""
    return len(one.keys() & other.keys()) > 1 or one.keys() == other.keys()


def _pooled(things: Sequence[Scores], place: int, fitted: Fit, spread: Fit, confidence: float) -> Pairing:
    """The first thing against another, by the spread of all."""
    difference, n = fitted.difference(0, place), len(things[0].keys() & things[place].keys())
    error = spread.sd * math.sqrt(fitted.variance(0, place))
    half = range_point(confidence, len(things), spread.df) * error / math.sqrt(2)
    # Equal scores are equal, also where there is no spread
    least = ROUNDING * float(np.abs(fitted.levels).max())
    apart = abs(difference) > max(half, least)
    if error > 0:
        t = abs(difference) / error
        p = 2 * t_above(t, spread.df)
        adjusted = float(stats.studentized_range.sf(t * math.sqrt(2), len(things), spread.df))
    else:
        p = adjusted = float(not apart)
    test = Difference(difference, difference - half, difference + half, p, n, spread.df, error * math.sqrt(n))
    return Pairing(test, adjusted, apart, math.sqrt(2) * spread.sd, True)


def _alone(one: Scores, other: Scores) -> Pairing:
    """A pair by itself; its p is still to be adjusted."""
    if _shares(one, other):
        shared = sorted(one.keys() & other.keys())
        test = paired_difference([one[block] for block in shared], [other[block] for block in shared])
        return Pairing(test, math.nan, False, test.sd, True)
    x, y = (np.array(list(thing.values()), float) for thing in (one, other))
    test = welch_difference(x, y)
    sd = math.sqrt(float(x.var(ddof=1) + y.var(ddof=1))) if test.df > 0 else math.nan
    return Pairing(test, math.nan, False, sd, False)
