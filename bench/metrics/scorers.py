"""The scorer of a protocol, with the reference images that it names."""

from __future__ import annotations

import numpy as np

from bench.data import imageset
from bench.errors import UserError
from bench.metrics.measures import fewest_generated
from bench.metrics.scores import Scorer, Watch
from bench.spec.run import DataSpec, Protocol


def reference_images(data: DataSpec, count: int) -> tuple[np.ndarray, str]:
    """The first `count` test images and a hash that names them. UserError if the test split is smaller."""
    images = imageset.load(data.name, data.resolution)
    if count > len(images.test):
        raise UserError(
            f"data set '{data.name}' has {len(images.test)} test images, the protocol wants {count} as reference"
        )
    return images.test[:count], f"{images.sha256}-test-{count}"


def make_scorer(
    protocol: Protocol,
    data: DataSpec,
    device: str = "cpu",
    generated: int | None = None,
    watch: Watch | None = None,
) -> Scorer:
    """The scorer of a protocol on a data set, with its reference images.

    generated: how many images will be scored; metrics that need more are left out. None: no metric is left out.
    """
    images, sha256 = reference_images(data, protocol.reference)
    metrics = [metric for metric in protocol.metrics if generated is None or generated >= fewest_generated(metric)]
    return Scorer(metrics, images, sha256, device, watch)
