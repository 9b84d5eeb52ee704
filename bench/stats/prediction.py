"""Our scores against a printed number: where the paper's number would fall if its training were like ours."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from bench.errors import UserError
from bench.stats.distributions import t_point
from bench.stats.intervals import Interval, finite_vector, spread_of

Verdict = Literal["consistent", "better", "worse", "larger", "smaller", "undecided"]
TOO_WIDE = 0.25  # an interval wider than +-25 % of its centre holds nearly any number


def predictive_interval(
    values: ArrayLike,
    best_of: int = 1,
    sd: float | None = None,
    df: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Where the lowest of `best_of` further seeds falls, predicted from our scores `values` (N,).

    With sigma^2 = sd^2 df / chi2_df and mu ~ N(mean, sigma^2 / N), the statistic is the minimum of best_of draws of
    N(mu, sigma^2). low and high are its equal-tailed quantiles, by quadrature, without random numbers. mean is its
    median, and half_width half the distance from low to high.
    sd, df: as in `t_interval`. A single value without sd has nan limits.
    """
    x = finite_vector(values)
    if best_of != int(best_of) or best_of < 1:
        raise UserError(
            f"best_of must be a whole number >= 1 (how many seeds the paper took the best of), not {best_of}"
        )
    if not 0 < confidence < 1:
        raise UserError(f"confidence must lie between 0 and 1, not {confidence}; for 95 % give 0.95")
    sd, df = spread_of(x, sd, df)
    centre = float(x.mean())
    if df <= 0:
        return Interval(centre, math.nan, math.nan, math.nan, x.size, sd, df)
    tail = (1 - confidence) / 2
    low, median, high = (centre + sd * _pivot(p, int(best_of), x.size, df) for p in (tail, 0.5, 1 - tail))
    return Interval(median, low, high, (high - low) / 2, x.size, sd, df)


def verdict(
    values: ArrayLike,
    printed: float,
    best_of: int = 1,
    sd: float | None = None,
    df: float | None = None,
    better: Literal["lower", "higher", "zero", "none"] = "lower",
    confidence: float = 0.95,
) -> Verdict:
    """The verdict on our `values` (N,) against a `printed` number that is the best of `best_of` seeds.

    Ours are "better" or "worse" where the printed number lies outside the predictive interval; "larger" or "smaller"
    where neither is better (none). Inside it they are "consistent", or "undecided" if the interval is wider than +-25 %
    of our mean. zero: nearer to 0 is better; a number outside the interval of the values, whose distance from 0 is
    within that of their distances (as far off on the other side), leaves it undecided.
    """
    if not math.isfinite(printed):
        raise UserError(f"the printed number must be finite, not {printed}")
    x = finite_vector(values)
    sign = -1.0 if better == "higher" else 1.0
    of_values = 1 if better in ("zero", "none") else best_of  # the best is not the lowest value of these
    interval = predictive_interval(sign * x, of_values, sd, df, confidence)
    if math.isnan(interval.half_width):
        return "undecided"
    if interval.low <= sign * printed <= interval.high:
        return "undecided" if interval.half_width > TOO_WIDE * abs(float(x.mean())) else "consistent"
    if better == "none":
        return "smaller" if printed > interval.high else "larger"
    if better == "zero":
        interval, printed = predictive_interval(abs(x), best_of, sd, df, confidence), abs(printed)
    if sign * printed > interval.high:
        return "better"
    return "worse" if sign * printed < interval.low else "undecided"


@lru_cache(maxsize=1024)  # a table asks for the same few (k, n, df) in every cell
def _pivot(probability: float, k: int, n: int, df: float) -> float:
    """The quantile of T = (min of k normals + a normal / sqrt(n)) / sqrt(chi2_df / df)."""
    if k == 1:  # a Student t, exactly
        return t_point(probability, df) * math.sqrt(1 + 1 / n)
    if math.isinf(df):
        scales, weights = np.ones(1), np.ones(1)
    else:
        scales, weights = _chi_nodes(df)
    # A bracket that holds the root: far wider than the quantile of a single Student t.
    reach = 100.0 + 100 * abs(t_point(probability, df))

    def excess(t: float) -> float:
        return float(weights @ _least_below(t * scales, k, n)) - probability

    return float(optimize.brentq(excess, -reach, reach, xtol=1e-10))


def _least_below(u: np.ndarray, k: int, n: int) -> np.ndarray:
    """P(min of k normals + a normal / sqrt(n) <= u) for u (M,), by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)  # 80 nodes
    above = special.ndtr(nodes / math.sqrt(n) - u[:, None]) ** k
    return 1 - above @ (weights / weights.sum())


def _chi_nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for a mean over sqrt(chi2_df / df): Gauss-Legendre between its far quantiles."""
    low, high = (float(stats.chi.ppf(p, df)) / math.sqrt(df) for p in (1e-13, 1 - 1e-13))
    nodes, weights = np.polynomial.legendre.leggauss(200)  # 200 nodes
    scales = (high - low) / 2 * nodes + (high + low) / 2
    weights = weights * stats.chi.pdf(scales * math.sqrt(df), df)
    return scales, weights / weights.sum()
