"""Floors that no run has: of as many real images as there are generated ones, scored on the spot."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.points import FLOOR, exists
from bench.data.reference import floor_beside_training, reference_point
from bench.features import canonical
from bench.machine.long_work import progress
from bench.metrics.of_training import with_training, without_training
from bench.metrics.scorers import make_scorer
from bench.report.floors import Floor
from bench.spec.run import DataSpec, MetricSpec, Protocol, reference_run

HERE = "made now"  # the origin of a floor that is of no run
Key = tuple[str, str]


def key(metric: MetricSpec) -> Key:
    """By what a score is found: its name and its extractor at a size."""
    return metric.name, canonical(metric.extractor)


def floors_here(
    metrics: Sequence[MetricSpec], protocol: Protocol, data: DataSpec, seed: int, count: int, device: str
) -> dict[Key, Floor]:
    """The floor of each score at `count` real images, which are nowhere else among the images that it looks at.

    A score has none where the data set has none, or fewer such images: a floor of fewer images is another.
    """
    if not metrics or not exists(FLOOR, data, protocol):
        return {}
    asked = protocol.model_copy(update={"metrics": tuple(metrics), "generated": count})
    point = reference_run(FLOOR, data, asked, seed)
    found: dict[Key, Floor] = {}
    for scored, images_of in (
        (without_training(asked), reference_point),
        (with_training(asked), floor_beside_training),
    ):
        if scored.metrics and len(images_NHWC := images_of(point)) == count:
            scorer = make_scorer(scored, data, seed, device, count, progress)
            found |= {
                (score.metric, score.extractor): Floor(score.value, 1, HERE) for score in scorer.score(images_NHWC)
            }
    return found
