"""The interval of one cell: a mean over seeds, with its own spread or one pooled over like rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bench.errors import UserError
from bench.stats.distributions import chi2_above, t_point

ALIKE = 0.05  # spreads are pooled while Bartlett's test of equal variances has a p-value above this


@dataclass(frozen=True)
class Interval:
    """A centre and its confidence limits. For one value without a known sd the limits are nan and df is 0."""

    mean: float
    low: float
    high: float
    half_width: float
    n: int
    sd: float
    df: float


@dataclass(frozen=True)
class Spread:
    """The summary of a cell in which a seed diverged: median, range, and how many of its n seeds are ok."""

    median: float
    low: float
    high: float
    n: int
    ok: int


def t_interval(
    values: ArrayLike, confidence: float = 0.95, sd: float | None = None, df: float | None = None
) -> Interval:
    """The mean of `values` (N,) with its Student-t confidence interval.

    sd, df: a standard deviation from elsewhere (`pooled_sd`) with its degrees of freedom; df=inf means that sd is
    known exactly. None for both: the values' own sd (ddof=1) and N - 1; a single value then has nan limits.
    Raises UserError for values that are empty or not finite; use `spread` where a seed diverged.
    """
    x = finite_vector(values)
    sd, df = spread_of(x, sd, df)
    half = quantile(confidence, df) * sd / math.sqrt(x.size)
    mean = float(x.mean())
    return Interval(mean, mean - half, mean + half, half, x.size, sd, df)


def log_interval(
    values: ArrayLike, confidence: float = 0.95, sd: float | None = None, df: float | None = None
) -> Interval:
    """The geometric mean of positive `values` (N,), with the exp of a t interval of their logs.

    sd, df: as in `t_interval`, of the logs; the returned sd is of the logs too. The limits are not symmetric, and
    half_width is half the distance between them.
    """
    inner = t_interval(positive_logs(values), confidence, sd, df)
    low, high = math.exp(inner.low), math.exp(inner.high)
    return Interval(math.exp(inner.mean), low, high, (high - low) / 2, inner.n, inner.sd, inner.df)


def pooled_sd(groups: Iterable[ArrayLike]) -> tuple[float, float] | None:
    """One standard deviation for several groups of seeds, and its degrees of freedom sum(n - 1).

    None where no group has two values, or where the groups' spreads differ: Bartlett's test of equal variances rejects
    at 5 %, or some groups have no spread and others do. Bartlett's test accounts for how far the spreads of few seeds
    scatter by chance; a fixed limit on their ratio would hardly ever pool them.
    """
    samples = [x for x in map(finite_vector, groups) if x.size > 1]
    if not samples:
        return None
    sds = [float(x.std(ddof=1)) for x in samples]
    if not _spread_alike(samples, sds):
        return None
    df = sum(x.size - 1 for x in samples)
    return math.sqrt(sum((x.size - 1) * sd**2 for x, sd in zip(samples, sds)) / df), float(df)


def _spread_alike(samples: list[np.ndarray], sds: list[float]) -> bool:
    if len(samples) == 1 or max(sds) == 0:
        return True
    return min(sds) > 0 and bartlett(samples) > ALIKE


def bartlett(samples: Sequence[np.ndarray]) -> float:
    """The p value of Bartlett's test (1937) that samples (N_i,) of two or more values, none without spread, have one.

    That of scipy.stats.bartlett, which takes milliseconds.
    """
    df = np.array([x.size - 1 for x in samples], float)
    variances = np.array([x.var(ddof=1) for x in samples])
    pooled = float(df @ variances) / df.sum()
    statistic = df.sum() * math.log(pooled) - float(df @ np.log(variances))
    correction = 1 + (float((1 / df).sum()) - 1 / df.sum()) / (3 * (df.size - 1))
    return chi2_above(max(statistic / correction, 0.0), df.size - 1.0)


def spread(values: ArrayLike, worst: float | None = math.inf) -> Spread:
    """Median, minimum and maximum of `values` (N,); a diverged seed (nan or infinite) counts as `worst`.

    worst: the worst possible score: inf for a distance, 0 for precision or recall; None where no value is the worst:
    the median and the range are then of the other seeds, nan without any.
    """
    x = vector(values)
    sound = np.isfinite(x)
    counted = x[sound] if worst is None else np.where(sound, x, worst)
    if not counted.size:
        return Spread(math.nan, math.nan, math.nan, x.size, 0)
    return Spread(float(np.median(counted)), float(counted.min()), float(counted.max()), x.size, int(sound.sum()))


def vector(values: ArrayLike) -> np.ndarray:
    """`values` as a non-empty float vector (N,), or UserError."""
    try:
        x = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise UserError(f"values must be numbers, one for each seed: {error}") from error
    if x.ndim != 1 or x.size == 0:
        raise UserError(f"values must be a non-empty list of numbers, one for each seed, not of shape {x.shape}")
    return x


def finite_vector(values: ArrayLike) -> np.ndarray:
    """`vector`, which refuses nan and infinity: dropping a diverged seed would flatter the method."""
    x = vector(values)
    bad = int((~np.isfinite(x)).sum())
    if bad:
        raise UserError(f"{bad} of {x.size} values are nan or infinite; report diverged seeds with bench.stats.spread")
    return x


def positive_logs(values: ArrayLike) -> np.ndarray:
    """The logs of positive values, or UserError."""
    x = finite_vector(values)
    if (x <= 0).any():
        raise UserError(f"ratios need values above 0, found {x.min():g}; compare such metrics by differences")
    return np.log(x)


def spread_of(x: np.ndarray, sd: float | None, df: float | None) -> tuple[float, float]:
    """The sd and df to use for a sample: the given pair, or the sample's own (nan and 0 for one value)."""
    if (sd is None) != (df is None):
        raise UserError("sd and df go together: a given sd needs its degrees of freedom (df=inf if it is known)")
    if sd is None or df is None:
        return (float(x.std(ddof=1)), float(x.size - 1)) if x.size > 1 else (math.nan, 0.0)
    if not (sd >= 0 and math.isfinite(sd)) or not df >= 1:
        raise UserError(f"sd must be a number >= 0 and df >= 1, not sd={sd} and df={df}")
    return float(sd), float(df)


def quantile(confidence: float, df: float) -> float:
    """The two-sided Student-t quantile; nan without degrees of freedom."""
    if not 0 < confidence < 1:
        raise UserError(f"confidence must lie between 0 and 1, not {confidence}; for 95 % give 0.95")
    return t_point((1 + confidence) / 2, df) if df > 0 else math.nan


def same_length(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> None:
    """UserError unless two samples can be paired."""
    if len(a) != len(b):
        raise UserError(
            f"paired samples need one value for each shared seed, not {len(a)} and {len(b)}; else use welch_ratio"
        )
