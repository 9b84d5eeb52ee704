"""Who is a copy of a training image: authenticity, and the share of images that are nearest to one."""

from __future__ import annotations

from bench.metrics.measures import FeatureSets, Measure


def _authenticity(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.originality import authentic_share

    return authentic_share(sets.train, sets.fake_beside_train)


def _training_nearest(sets: FeatureSets, k: int | None) -> float:
    from bench.metrics.originality import nearest_training_share

    return nearest_training_share(sets.train, sets.real_beside_train, sets.fake_beside_train)


SCORES = (
    Measure(
        name="authenticity",
        summary="share of generated images farther from their nearest training image than that is from another one",
        title="authenticity",
        short="authenticity",
        better="higher",
        worst=0.0,
        of_training=True,
        compute=_authenticity,
    ),
    Measure(
        name="training_nearest",
        summary="share of generated images whose nearest real image is a training image, not one of the reference",
        title="share nearest to training images",
        short="training nearest",
        better="lower",
        worst=1.0,
        of_training=True,
        held_out=True,
        compute=_training_nearest,
    ),
)
