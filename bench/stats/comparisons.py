"""Two methods side by side: ratios of distances (by their logs), differences of other scores, Holm, power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from bench.errors import UserError
from bench.stats.distributions import t_above, t_point
from bench.stats.intervals import finite_vector, positive_logs, quantile, same_length, spread_of


@dataclass(frozen=True)
class Ratio:
    """a / b with confidence limits; below 1 means that `a` is lower. Limits and p of a single pair are nan.

    n: the number of pairs, or the size of the smaller sample.
    sd: of the log differences, such that sd / sqrt(n) is the standard error.
    """

    ratio: float
    low: float
    high: float
    p: float
    n: int
    df: float
    sd: float


@dataclass(frozen=True)
class Difference:
    """a - b with confidence limits, for scores such as precision that may be 0; fields as in `Ratio`."""

    difference: float
    low: float
    high: float
    p: float
    n: int
    df: float
    sd: float


def paired_ratio(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Ratio:
    """The ratio a / b of positive scores (N,), paired by seed: a paired t test of the logs.

    Raises UserError for unequal lengths and for values that are not finite and positive.
    """
    return _as_ratio(_paired(positive_logs(a), positive_logs(b), confidence))


def welch_ratio(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Ratio:
    """The ratio a / b of positive scores (N,), (M,), seeds not shared: Welch's t test of the logs."""
    return _as_ratio(_welch(positive_logs(a), positive_logs(b), confidence))


def paired_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Difference:
    """The difference a - b of scores (N,) that share their seeds: a paired t test."""
    return _paired(finite_vector(a), finite_vector(b), confidence)


def welch_difference(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Difference:
    """The difference a - b of scores (N,), (M,) whose seeds are not shared: Welch's t test."""
    return _welch(finite_vector(a), finite_vector(b), confidence)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order of `p_values`.

    A nan (no test was possible) stays and is not counted. Holm (1979): the i-th smallest of m is
    multiplied by m - i + 1, made monotone and cut at 1.
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise UserError("p values must be a list of numbers between 0 and 1")
    adjusted = np.full(p.shape, math.nan)
    order = [i for i in np.argsort(p, kind="stable") if not math.isnan(p[i])]
    steps = np.array([p[i] * (len(order) - rank) for rank, i in enumerate(order)])
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def minimum_detectable_ratio(
    sd: float, n: int, alpha: float = 0.05, power: float = 0.8, df: float | None = None
) -> float:
    """The smallest true ratio (> 1) that a two-sided t test of `n` log differences finds with this power.

    sd: of the log differences (`Ratio.sd`). df: None means n - 1. 1 / ratio is the same gap seen from the other side.
    A single pair can show no ratio: the result is inf.
    """
    if not (sd >= 0 and n >= 1 and 0 < alpha < 1 and alpha < power < 1):
        raise UserError(f"needs sd >= 0, n >= 1 and alpha < power < 1, not {sd}, {n}, {alpha}, {power}")
    df = n - 1 if df is None else df
    if df <= 0:
        return math.inf
    critical = t_point(1 - alpha / 2, df)

    def shortfall(shift: float) -> float:
        # the far tail is left out: at a shift with such a power its mass is below 1e-5
        return float(stats.nct.sf(critical, df, shift)) - power

    shift = optimize.brentq(shortfall, 0.0, 10 * critical + 10)
    return math.exp(min(shift * sd / math.sqrt(n), 700.0))  # exp overflows above 709


def _paired(a: np.ndarray, b: np.ndarray, confidence: float) -> Difference:
    same_length(a, b)
    differences = a - b
    sd, df = spread_of(differences, None, None)
    return _tested(float(differences.mean()), sd, differences.size, df, confidence)


def _welch(a: np.ndarray, b: np.ndarray, confidence: float) -> Difference:
    """Welch (1947); the degrees of freedom are Welch-Satterthwaite's. A single value gives no limits."""
    n = min(a.size, b.size)
    mean = float(a.mean() - b.mean())
    if n < 2:
        return _tested(mean, math.nan, n, 0.0, confidence)
    parts = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size])
    total = float(parts.sum())
    df = total**2 / float((parts**2 / [a.size - 1, b.size - 1]).sum()) if total > 0 else a.size + b.size - 2.0
    return _tested(mean, math.sqrt(total * n), n, df, confidence)


def _tested(mean: float, sd: float, n: int, df: float, confidence: float) -> Difference:
    """A mean difference with limits and two-sided p; where there is no spread, p is 1 for a zero mean, else 0."""
    error = sd / math.sqrt(n)
    half = quantile(confidence, df) * error
    if df <= 0:
        p = math.nan
    elif error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = 2 * t_above(abs(mean) / error, df)
    return Difference(mean, mean - half, mean + half, p, n, df, sd)


def _as_ratio(log: Difference) -> Ratio:
    low, high = (math.exp(min(limit, 700.0)) for limit in (log.low, log.high))
    return Ratio(math.exp(log.difference), low, high, log.p, log.n, log.df, log.sd)
