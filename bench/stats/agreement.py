"""Agreement of two lists: whether the same things stand in the same order."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bench.errors import UserError
from bench.stats.evidence import Finding
from bench.stats.intervals import finite_vector

ENUMERATED = 8  # 40,320 orders


def agree(a: ArrayLike, b: ArrayLike) -> Finding:
    """The statement that two lists of scores (K,) put the same K things in the same order.

    Kendall's tau (1938; tau-b where values tie) with its exact one-sided p over all orders, as the statement has a
    direction: four things in the same order have p = 1/24, three can show nothing. With ties among more than 8 values
    p is the normal approximation. Limits are nan: tau has none here. n is K.
    """
    x, y = finite_vector(a), finite_vector(b)
    if x.size != y.size or x.size < 2:
        raise UserError(f"two lists of scores of the same two or more things are needed, not {x.size} and {y.size}")
    if np.unique(x).size == 1 or np.unique(y).size == 1:
        return Finding(1.0, 1.0, 0.0, math.nan, math.nan, x.size, math.inf)
    tied = np.unique(x).size < x.size or np.unique(y).size < y.size
    if tied and x.size <= ENUMERATED:
        tau = float(stats.kendalltau(x, y).statistic)
        p_for, p_against = _enumerated(x, y)
    else:
        method = "asymptotic" if tied else "exact"
        greater, less = (stats.kendalltau(x, y, method=method, alternative=side) for side in ("greater", "less"))
        tau, p_for, p_against = float(greater.statistic), float(greater.pvalue), float(less.pvalue)
    return Finding(p_for, p_against, tau, math.nan, math.nan, x.size, math.inf)


def _enumerated(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The shares of all orders of y that agree with x at least as much, and at most as much, as y itself does."""
    first, second = np.triu_indices(x.size, 1)
    signs = np.sign(x[first] - x[second])
    orders = np.array(list(itertools.permutations(range(x.size))))
    concordant = np.sign(y[orders[:, first]] - y[orders[:, second]]) @ signs
    seen = concordant[0]  # the first order is y's own
    return float((concordant >= seen).mean()), float((concordant <= seen).mean())
