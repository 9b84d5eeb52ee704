"""MIND, the Monge inception distance: squared 2-Wasserstein distances along random directions, averaged.

Berthet et al. 2026 (arXiv 2605.06797): (alpha / (n M)) sum_i sum_j (sort(u_i'X)_j - sort(u_i'Y)_j)^2 over M = 1,000
random unit directions u_i, with alpha = 3 D for features of D dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench import seeds
from bench.errors import UserError
from bench.metrics.checks import check_features

DIRECTIONS = 1000  # the authors' M
AT_ONCE = 125  # directions whose projections are held at once
ROWS = 2048  # features that are converted to float64 at once


class _Plan(NamedTuple):
    """Which sorted real goes to which sorted fake, and how much of the mass (1 in all)."""

    real: np.ndarray
    fake: np.ndarray
    mass: np.ndarray


def monge_inception_distance(real: np.ndarray, fake: np.ndarray, directions: int = DIRECTIONS, seed: int = 0) -> float:
    """The sliced squared 2-Wasserstein distance of features (N, D) and (M, D), times 3 D; at least 0.

    For equal counts it is the authors' formula. They thin out the larger of two sets; here it keeps all its features,
    and the distance along a direction is that of the two step functions of quantiles, which is the same optimal
    transport. The directions depend on D and `seed` alone, not on the counts, the order or the machine.
    Raises UserError for differing D, fewer than 2 rows, NaN or infinity, directions < 1.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    if directions < 1:
        raise UserError(f"directions={directions} must be at least 1")
    width = real.shape[1]
    units = seeds.numpy_stream(seed, "sliced distance", width).standard_normal((directions, width))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    plan, total = _transport(len(real), len(fake)), 0.0
    for first in range(0, directions, AT_ONCE):
        some = units[first : first + AT_ONCE]
        gaps = _sorted_projections(real, some)[:, plan.real] - _sorted_projections(fake, some)[:, plan.fake]
        total += float((np.square(gaps, out=gaps) @ plan.mass).sum())
    return 3 * width * total / directions


def _transport(n: int, m: int) -> _Plan:
    """The monotone plan between n and m equal masses; for n = m place j goes to place j."""
    # Quantiles in units of 1/(n m): those of the reals step at multiples of m, those of the fakes at multiples of n.
    ends = np.union1d(np.arange(1, n + 1, dtype=np.int64) * m, np.arange(1, m + 1, dtype=np.int64) * n)
    return _Plan((ends - 1) // m, (ends - 1) // n, np.diff(ends, prepend=0) / (n * m))


def _sorted_projections(features: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(directions, N) float64, sorted along each direction."""
    projected = np.empty((len(units), len(features)))
    for first in range(0, len(features), ROWS):
        part = features[first : first + ROWS].astype(np.float64)
        np.matmul(units, part.T, out=projected[:, first : first + ROWS])
    projected.sort(axis=1)
    return projected
