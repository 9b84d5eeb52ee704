"""A value, or a spread, against a number: one side of its interval decides."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.errors import UserError
from bench.stats.distributions import chi2_below, chi2_point, t_above
from bench.stats.evidence import Finding, doubled
from bench.stats.intervals import finite_vector, log_interval, t_interval

Side = Literal["below", "above"]


def bound(values: ArrayLike, limit: float, side: Side, log: bool = False) -> Finding:
    """The statement that the mean of `values` (N,) lies below, or above, `limit`: a one-sample t test.

    log: of the geometric mean of positive values, on the log scale; `limit` must then be positive too.
    """
    if log and not limit > 0:
        raise UserError(f"a mean on the log scale is compared with a number above 0, not {limit}")
    x = finite_vector(values)
    shown = log_interval(x) if log else t_interval(x)
    inner = t_interval(np.log(x)) if log else shown
    distance = inner.mean - (math.log(limit) if log else limit)
    error = inner.sd / math.sqrt(inner.n)
    below = _t_below(distance, error, inner.df)
    p_for, p_against = (below, 1 - below) if side == "above" else (1 - below, below)
    return Finding(doubled(p_for), doubled(p_against), shown.mean, shown.low, shown.high, shown.n, shown.df)


def spread_bound(groups: Iterable[ArrayLike], limit: float, side: Side, log: bool = False) -> Finding:
    """The statement that the standard deviation over seeds lies below, or above, `limit`, which is positive.

    groups: the seeds' values of one cell, or of several; their spread is then the root of the mean variance, weighted
    by degrees of freedom. log: the sd of the logs, which is the relative spread. df s^2 / sigma^2 is chi-square with df
    degrees of freedom for normal values (Cochran 1934), whence limits and p.
    """
    if not limit > 0:
        raise UserError(f"a spread is compared with a number above 0, not {limit}")
    samples = [np.log(x) if log else x for x in map(finite_vector, groups)]
    n, df = min(x.size for x in samples), float(sum(x.size - 1 for x in samples))
    if df <= 0:
        nan = math.nan
        return Finding(nan, nan, nan, nan, nan, n, df)
    squares = float(sum(((x - x.mean()) ** 2).sum() for x in samples))
    low, high = (math.sqrt(squares / chi2_point(q, df)) for q in (0.975, 0.025))
    least = chi2_below(squares / limit**2, df)  # small where the spread is far below the limit
    p_for, p_against = (least, 1 - least) if side == "below" else (1 - least, least)
    return Finding(doubled(p_for), doubled(p_against), math.sqrt(squares / df), low, high, n, df)


def _t_below(distance: float, error: float, df: float) -> float:
    """P(T > distance / error): small where the mean lies far above the limit; without any spread 0, 1 or 1/2."""
    if df <= 0:
        return math.nan
    if error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return t_above(distance / error, df)
