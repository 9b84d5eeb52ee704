"""MIND: the sliced Wasserstein distance, which few images tell more of than a Fréchet distance."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.sliced import monge_inception_distance

    return monge_inception_distance(sets.real, sets.fake)


SCORES = (
    Measure(
        name="mind",
        summary="Monge inception distance: sliced squared 2-Wasserstein distance over 1,000 directions, times 3 D",
        title="Monge inception distance",
        short="MIND",
        better="lower",
        compared="ratio",
        biased_upward=True,  # by about 1/N, as every Wasserstein distance of samples
        compute=_compute,
    ),
)
