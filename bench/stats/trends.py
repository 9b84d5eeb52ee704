"""A trend: scores rise, or fall, all along x."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bench.errors import UserError
from bench.stats.bounds import bound
from bench.stats.evidence import Evidence, Finding
from bench.stats.joint import every

Direction = Literal["increasing", "decreasing"]


def trend(x: ArrayLike, scores: ArrayLike, direction: Direction) -> Finding:
    """The statement that scores (N, K) of N seeds rise, or fall, along x (K,), which increases.

    Each seed has a least-squares slope of its own, so that whatever the K scores of a seed share does not matter.
    Supported where the t interval of the slopes lies on the statement's side. Contradicted where it lies on the other,
    or where a step from one x to the next goes the other way (a t test of the N steps), by Bonferroni over slope and
    steps. Take logs of both for a power law.
    """
    at, y = np.asarray(x, dtype=float), np.asarray(scores, dtype=float)
    if at.ndim != 1 or at.size < 2 or y.ndim != 2 or y.shape[1] != at.size or not (np.diff(at) > 0).all():
        raise UserError(f"a trend needs scores (seeds, points) over at least two increasing x, not {y.shape} over {at}")
    # The slope of each seed, then both tests
    weights = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    side: Literal["above", "below"] = "above" if direction == "increasing" else "below"
    slope = bound(y @ weights, 0.0, side)
    steps: list[Evidence] = [bound(step, 0.0, side) for step in np.diff(y, axis=1).T] if at.size > 2 else []
    against = math.nan if slope.df <= 0 else every([slope, *steps]).p_against
    return Finding(slope.p_for, against, slope.estimate, slope.low, slope.high, slope.n, slope.df)
