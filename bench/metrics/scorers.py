"""The scorer of a protocol, with the reference images that it names."""

from __future__ import annotations

from bench.data.reference_split import reference_images
from bench.metrics.measures import fewest_generated
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

    seed: of the run, whose training images may be the reference.
    generated: how many images will be scored; metrics that need more are left out. None: no metric is left out.
    """
    images, sha256 = reference_images(protocol, data, seed)
    metrics = [metric for metric in protocol.metrics if generated is None or generated >= fewest_generated(metric)]
    return Scorer(metrics, images, sha256, device, watch, protocol.split)
