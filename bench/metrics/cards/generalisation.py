"""The generalisation gap: how much likelier the training images are than held-out ones, by the generated images."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _compute(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.mixture import likelihood_gap

    return likelihood_gap(sets.train, sets.real_beside_train, sets.fake_beside_train[sets.order])


SCORES = (
    Measure(
        name="generalisation_gap",
        summary="FLD's gap: test less training log likelihood under Gaussians at generated images; far below 0: copies",
        title="generalisation gap",
        short="gap",
        better="zero",
        of_training=True,
        held_out=True,
        compute=_compute,
    ),
)
