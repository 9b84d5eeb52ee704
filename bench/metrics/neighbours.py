"""Precision, recall, density and coverage from nearest neighbours, in blocks: memory grows with N, not N^2.

Precision and recall: Kynkäänniemi et al. 2019 (arXiv 1904.06991), Eq. 1 and 2. A point counts if its distance to some
centre is at most (<=) the distance from that centre to its k-th neighbour. Density and coverage: Naeem et al. 2020
(arXiv 2002.09797), Eq. 3 and 4, on the same balls B(x, NND_k(x)).

So balls are closed, and a ball does not count its own centre as a neighbour. The package prdc compares with < instead.
The two agree where no two distances tie. But a generator that repeats training images has nothing but ties (balls of
radius 0 around copies), and prdc scores it as if it were nowhere near them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.errors import UserError
from bench.metrics.checks import check_features, check_neighbour
from bench.metrics.distances import SquaredDistances
from bench.metrics.own_distances import OwnDistances


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """density: at least 0, about 1 for equal distributions; coverage: a share in [0, 1]."""

    density: float
    coverage: float


class Occupancy(NamedTuple):
    """What balls and points have to do with each other."""

    share: float  # of the points that lie in at least one ball
    density: float  # the mean number of balls a point lies in, over k
    coverage: float  # the share of balls that hold at least one point


@dataclass(frozen=True)
class Balls:
    """A ball around each feature vector, out to its k-th neighbour; keep the reference's between scores."""

    centres: np.ndarray  # (N, D)
    squared_radii: np.ndarray  # (N,) float64
    k: int


def precision_recall(
    real: np.ndarray,
    fake: np.ndarray,
    k_precision: int | None = None,
    k_recall: int | None = None,
    *,
    k: int | None = None,
) -> PrecisionRecall:
    """The share of fakes inside the reals' balls, and of reals inside the fakes' balls.

    real (N, D), fake (M, D).
    k_precision, k_recall: the neighbours that set the radii around reals and fakes; None: 10 and 40, as in DISP.
    k: sets both, as in `density_coverage`.
    Raises UserError for k beside either of the others, differing D, NaN or infinity, k_precision >= N, k_recall >= M.
    """
    if k is not None and (k_precision is not None or k_recall is not None):
        raise UserError(f"k={k} sets k_precision and k_recall both; give it or them")
    for_reals, for_fakes = (
        next(choice for choice in (k, own, default) if choice is not None)
        for own, default in ((k_precision, 10), (k_recall, 40))
    )
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    check_neighbour(for_reals, "real", real)
    check_neighbour(for_fakes, "fake", fake)
    around_reals, around_fakes = balls(real, for_reals), balls(fake, for_fakes, "fake")
    # One product decides both: who of the fakes is in a real's ball, and which reals are in a fake's.
    distances = SquaredDistances(real, fake)
    precise, recalled = 0, np.zeros(len(real), dtype=bool)
    for of_reals, of_fakes in distances.at_most_both(around_reals.squared_radii, around_fakes.squared_radii):
        precise += int(np.count_nonzero(of_reals.any(axis=1)))
        recalled |= of_fakes.any(axis=0)
    return PrecisionRecall(precise / len(fake), float(recalled.mean()))


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> DensityCoverage:
    """How many of the reals' balls a fake lies in, over k; and the share of those balls that hold a fake.

    real (N, D), fake (M, D). Raises UserError for differing D, NaN or infinity, k >= N.
    """
    real, fake = np.asarray(real), np.asarray(fake)
    check_features(real=real, fake=fake)
    inside = occupancy(balls(real, k), fake)
    return DensityCoverage(inside.density, inside.coverage)


def balls(features: np.ndarray, k: int, name: str = "real") -> Balls:
    """The balls of features (N, D), radius = distance to the k-th neighbour; name: what errors call the set.

    Raises UserError for k >= N, NaN or infinity.
    """
    check_features(**{name: features})
    check_neighbour(k, name, features)
    # Places count from 0, and at place 0 is the centre itself: place k is its k-th neighbour.
    return Balls(features, OwnDistances(features).smallest(k), k)


def occupancy(around: Balls, points: np.ndarray) -> Occupancy:
    """Who of the points (M, D) lies in which ball; precision of fakes and recall of reals are the `share`."""
    inside_any = inside_count = 0
    held = np.zeros(len(around.centres), dtype=bool)
    for inside in SquaredDistances(around.centres, points).at_most(around.squared_radii):
        inside_any += int(np.count_nonzero(inside.any(axis=1)))
        inside_count += int(np.count_nonzero(inside))
        held |= inside.any(axis=0)
    return Occupancy(inside_any / len(points), inside_count / len(points) / around.k, float(held.mean()))
