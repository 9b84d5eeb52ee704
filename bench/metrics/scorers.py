"""The scorer of a protocol, with the images that it names: the reference, and a run's training images."""

from __future__ import annotations

from bench.data.reference_split import (
    depends_on_seed,
    draws_depend_on_seed,
    named_training_images,
    reference_images,
)
from bench.errors import UserError
from bench.metrics.measures import fewest_generated
from bench.metrics.of_training import looks_at_training, nothing_held_out
from bench.metrics.scores import Scorer, Watch
from bench.spec.run import DataSpec, Protocol


def make_scorer(
    protocol: Protocol,
    data: DataSpec,
    seed: int,
    device: str = "cpu",
    generated: int | None = None,
    watch: Watch | None = None,
) -> Scorer:
    """The scorer of a protocol on a data set, with its reference images.

    seed: of the run, whose training images may be the reference, or be looked at by a score.
    generated: how many images will be scored; metrics that need more are left out. None: no metric is left out.
    Raises UserError for a score that compares training images with others where the reference has no others.
    """
    problems = [nothing_held_out(metric, protocol, data) for metric in protocol.metrics]
    if problem := next(filter(None, problems), None):
        raise UserError(problem)
    images, sha256 = reference_images(protocol, data, seed)
    metrics = [metric for metric in protocol.metrics if generated is None or generated >= fewest_generated(metric)]
    training = lambda: named_training_images(data, seed)  # noqa: E731
    return Scorer(metrics, images, sha256, device, watch, protocol.split, training)


def seed_matters(protocol: Protocol, data: DataSpec) -> bool:
    """Whether the same images score otherwise for runs of different seeds, which were trained on other images."""
    return depends_on_seed(data, protocol) or (looks_at_training(protocol) and draws_depend_on_seed(data))
