"""Precision, recall, density and coverage from nearest neighbours, in blocks: memory grows with N, not N^2.

Precision and recall: Kynkäänniemi et al. 2019 (arXiv 1904.06991), Eq. 1 and 2; density and coverage: Naeem et
al. 2020 (arXiv 2002.09797), Eq. 3 and 4. A ball is open (strictly smaller distance) and does not count its
own centre, as in the package prdc, whose values these equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.metrics.checks import check_features, check_neighbour

_BLOCK = 512  # rows of a distance matrix held at once


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """density: at least 0, about 1 for equal distributions; coverage: a share in [0, 1]."""

    density: float
    coverage: float


@dataclass(frozen=True)
class Balls:
    """A ball around each feature vector, out to its k-th neighbour; keep the reference's between scores."""

    centres: np.ndarray  # (N, D)
    radii: np.ndarray  # (N,)
    k: int


def precision_recall(
    real: np.ndarray, fake: np.ndarray, k_precision: int = 10, k_recall: int = 40
) -> PrecisionRecall:
    """The share of fakes inside the reals' balls, and of reals inside the fakes' balls.

    real (N, D), fake (M, D); k_precision and k_recall are the neighbours that set the radii of either (10 and
    40 in DISP). Raises UserError for differing D, NaN or infinity, k_precision >= N, k_recall >= M.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    check_neighbour(k_precision, "real", real)
    check_neighbour(k_recall, "fake", fake)
    return PrecisionRecall(
        share_inside(balls(real, k_precision), fake), share_inside(balls(fake, k_recall, "fake"), real)
    )


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> DensityCoverage:
    """How many of the reals' balls a fake lies in, over k; and the share of those balls that hold a fake.

    real (N, D), fake (M, D). Raises UserError for differing D, NaN or infinity, k >= N.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    around = balls(real, k)
    return DensityCoverage(density(around, fake), coverage(around, fake))


def balls(features: np.ndarray, k: int, name: str = "real") -> Balls:
    """The balls of features (N, D), radius = distance to the k-th neighbour; name: what errors call the set.

    Raises UserError for k >= N, NaN or infinity.
    """
    check_features(**{name: features})
    check_neighbour(k, name, features)
    radii = np.empty(len(features), dtype=np.float32)
    squares = _Squares(features)
    for start in range(0, len(features), _BLOCK):
        distances = squares.distances(features[start : start + _BLOCK])
        own = np.arange(len(distances))
        distances[own, start + own] = 0  # rounding leaves a little there
        distances.partition(k, axis=1)
        radii[start : start + _BLOCK] = distances[:, k]
    return Balls(features, radii, k)


def share_inside(around: Balls, points: np.ndarray) -> float:
    """The share of points (M, D) that lie in at least one ball: precision of fakes, recall of reals."""
    return float((_counts(around, points) > 0).mean())


def density(around: Balls, points: np.ndarray) -> float:
    """The mean number of balls a point (M, D) lies in, over k."""
    return float(_counts(around, points).mean() / around.k)


def coverage(around: Balls, points: np.ndarray) -> float:
    """The share of balls that hold at least one of the points (M, D)."""
    squares = _Squares(around.centres)
    held = np.zeros(len(around.centres), dtype=bool)
    for start in range(0, len(points), _BLOCK):
        held |= (squares.distances(points[start : start + _BLOCK]) < around.radii).any(axis=0)
    return float(held.mean())


def _counts(around: Balls, points: np.ndarray) -> np.ndarray:
    """How many balls each point lies in."""
    squares = _Squares(around.centres)
    counts = np.empty(len(points), dtype=np.int64)
    for start in range(0, len(points), _BLOCK):
        inside = squares.distances(points[start : start + _BLOCK]) < around.radii
        counts[start : start + _BLOCK] = np.count_nonzero(inside, axis=1)
    return counts


class _Squares:
    """Euclidean distances to a fixed set.

    Products are in float64, because |x|^2 + |y|^2 - 2 x.y cancels; the result is rounded to float32, as
    prdc's is, so that equal distances (to copies of training images) compare as equal and the blocks do not
    matter.
    """

    def __init__(self, targets: np.ndarray) -> None:
        self.targets = targets.astype(np.float64, copy=False)
        self.norms = np.einsum("nd,nd->n", self.targets, self.targets)

    def distances(self, points: np.ndarray) -> np.ndarray:
        """(len(points), len(targets)) float32."""
        rows = points.astype(np.float64, copy=False)
        squared = (-2 * rows) @ self.targets.T
        squared += np.einsum("nd,nd->n", rows, rows)[:, None]
        squared += self.norms
        rounded = squared.astype(np.float32)
        np.maximum(rounded, 0, out=rounded)
        return np.sqrt(rounded, out=rounded)
