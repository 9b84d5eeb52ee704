"""How many seeds a difference needs to be told apart, for the spread that was seen.

A two-sided t test of a difference d finds it with the probability P(|T| > c), where T is noncentral t with df degrees
of freedom and noncentrality d sqrt(n) / sd (Owen 1965; Cohen 1988, section 2.2): n seeds of either side, sd that of
the difference of one seed of each, c the critical point. Both df and c depend on n, which is found by halving.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.errors import UserError

MOST = 1000  # seeds; beyond this nobody trains
Critical = Callable[[int], tuple[float, float]]  # from a number of seeds to the critical point of |t| and its df


@dataclass(frozen=True)
class Needed:
    """Seeds of either side; None for more than `MOST`.

    low, high: the same at the limits of the 95 % interval of the spread, which a few seeds tell only roughly.
    """

    seeds: int | None
    low: int | None
    high: int | None


def power_at(difference: float, sd: float, seeds: int, critical: Critical) -> float:
    """The probability, in [0, 1], that `seeds` seeds of either side tell a true difference apart.

    sd: of the difference of one seed of each, > 0. UserError for what is no spread, and for fewer than two seeds.
    """
    if not (sd > 0 and math.isfinite(sd) and math.isfinite(difference) and seeds >= 2):
        raise UserError(f"needs a finite difference, sd > 0 and two seeds or more, not {difference}, {sd}, {seeds}")
    point, df = critical(seeds)
    shift = abs(difference) / sd * math.sqrt(seeds)
    near, far = stats.nct.sf(point, df, shift), stats.nct.cdf(-point, df, shift)
    return float(near + (0.0 if math.isnan(far) else far))  # far out, below 1e-10, scipy gives nan for the far tail


def seeds_needed(difference: float, sd: float, critical: Critical, power: float = 0.8) -> int | None:
    """The fewest seeds of either side, from 2 to `MOST`, by which a true difference is told apart with this power.

    None where that is more, as for a difference of 0. sd as in `power_at`; 0 needs no more than two seeds.
    """
    if difference == 0:
        return None
    if sd == 0:
        return 2

    def enough(seeds: int) -> bool:
        return power_at(difference, sd, seeds, critical) >= power

    # Double until it is enough, then halve the gap
    high = 2
    while not enough(high):
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = high // 2 if high > 2 else 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def needed(difference: float, sd: float, df: float, critical: Critical, power: float = 0.8) -> Needed:
    """`seeds_needed` at a spread with df degrees of freedom, and at the limits of its 95 % interval.

    df s^2 / sigma^2 is chi-square with df degrees of freedom for normal scores (Cochran 1934).
    """
    quantiles = np.asarray(stats.chi2.ppf((0.975, 0.025), df))
    limits = [sd * math.sqrt(df / float(quantile)) for quantile in quantiles]
    low, high = (seeds_needed(difference, limit, critical, power) for limit in limits)
    return Needed(seeds_needed(difference, sd, critical, power), low, high)
