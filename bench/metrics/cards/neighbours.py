"""Precision, recall, density and coverage: who lies in whose k-nearest-neighbour balls.

Three of them look at the same balls, around the reference: found once for a k and kept between snapshots, and who lies
in them once for a set of images. Copies of a picture are ties: see `bench.metrics.real_sets.tied`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.measures import FeatureSets, Measure

if TYPE_CHECKING:
    from bench.metrics.neighbours import Balls, Occupancy


def _reference_balls(sets: FeatureSets, k: int) -> Balls:
    from bench.metrics.neighbours import balls

    return sets.keep(lambda: balls(sets.real_tied, k, "reference"), "balls", k)


def _occupancy(sets: FeatureSets, k: int) -> Occupancy:
    """Of the reference's balls by the generated images."""
    from bench.metrics.neighbours import occupancy

    return sets.share(lambda: occupancy(_reference_balls(sets, k), sets.fake_tied), "occupancy", k)


def _precision(sets: FeatureSets, k: int | None) -> float:
    assert k is not None
    return _occupancy(sets, k).share


def _recall(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.neighbours import balls, occupancy

    assert k is not None
    return occupancy(balls(sets.fake_tied, k, "generated"), sets.real_tied).share


def _density(sets: FeatureSets, k: int | None) -> float:
    assert k is not None
    return _occupancy(sets, k).density


def _coverage(sets: FeatureSets, k: int | None) -> float:
    assert k is not None
    return _occupancy(sets, k).coverage


# Version 2 of all four: closed balls, and exact ties (before: open balls, so that repeated images lay in none).
SCORES = (
    Measure(
        name="precision",
        summary="share of generated images inside the reference's k-nearest-neighbour balls",
        title="precision",
        short="precision",
        better="higher",
        worst=0.0,
        default_k=10,  # DISP's
        version=2,
        compute=_precision,
    ),
    Measure(
        name="recall",
        summary="share of reference images inside the generated images' balls",
        title="recall",
        short="recall",
        better="higher",
        worst=0.0,
        default_k=40,  # DISP's
        k_among="generated",
        version=2,
        compute=_recall,
    ),
    Measure(
        name="density",
        summary="mean number of reference balls around a generated image, over k",
        title="density",
        short="density",
        better="higher",
        worst=0.0,
        default_k=5,  # of the example that the package prdc gives
        version=2,
        compute=_density,
    ),
    Measure(
        name="coverage",
        summary="share of reference balls that hold a generated image",
        title="coverage",
        short="coverage",
        better="higher",
        worst=0.0,
        default_k=5,  # prdc's, too
        version=2,
        compute=_coverage,
    ),
)
