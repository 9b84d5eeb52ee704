"""The reference images of a protocol: which real images the scores of a run are against."""

from __future__ import annotations

import hashlib
from typing import cast

import numpy as np

from bench.data import draw_counts, imageset
from bench.data.built_set import ImageSet
from bench.data.draws import draw, train_pool
from bench.errors import UserError
from bench.files.row_view import Joined, rows_on_disk
from bench.seeds import numpy_stream
from bench.spec.run import DataSpec, Protocol


def reference_images(protocol: Protocol, data: DataSpec, seed: int) -> tuple[np.ndarray, str]:
    """The protocol's reference (N, H, W, 3) uint8, never a copy in memory, and a name of exactly these images.

    test, train-pool: the first N of the test split, of the train pool (both are in random order). training-images: the
    first N of the run's own, which `seed` decides. all: N of both splits, the same for every run.
    Raises UserError where there are fewer.
    """
    images = imageset.load(data.name, data.resolution)
    problem = draw_counts.too_few_for_reference(protocol, data, len(images.train), len(images.test))
    if problem is not None:
        raise UserError(problem)
    count = protocol.reference
    if protocol.split == "test":
        return images.test[:count], f"{images.sha256}-test-{count}"
    if protocol.split == "all":
        return _of_both(images, count), f"{images.sha256}-all-{count}"
    of_run = protocol.split == "training-images"
    index = draw(images, data, seed) if of_run else train_pool(data, seed, len(images.train))
    return images_of_train(images, index[:count])


def named_training_images(data: DataSpec, seed: int) -> tuple[np.ndarray, str]:
    """A run's training images (M, H, W, 3) uint8, never a copy in memory, and a name of exactly these images.

    Raises UserError for a draw that is impossible.
    """
    images = imageset.load(data.name, data.resolution)
    return images_of_train(images, draw(images, data, seed))


def depends_on_seed(data: DataSpec, protocol: Protocol) -> bool:
    """Whether runs of different seeds have different reference images."""
    if protocol.split == "training-images":
        return draws_depend_on_seed(data)
    return protocol.split == "train-pool" and data.holdout is not None and data.draw != "fixed"


def draws_depend_on_seed(data: DataSpec) -> bool:
    """Whether runs of different seeds have different training images."""
    drawn = data.holdout is not None or data.shots is not None or data.share is not None
    return drawn and data.draw != "fixed"


def images_of_train(images: ImageSet, index: np.ndarray) -> tuple[np.ndarray, str]:
    """Images of the train split by their positions, never a copy in memory, and a name of exactly these images."""
    count = len(index)
    if np.array_equal(index, np.arange(count)):
        return images.train[:count], f"{images.sha256}-train-{count}"
    digest = hashlib.sha256(np.ascontiguousarray(index, "<i8").data).hexdigest()[:16]
    return rows_on_disk(images.train, index), f"{images.sha256}-train-{count}-{digest}"


def _of_both(images: ImageSet, count: int) -> np.ndarray:
    """`count` images of train and test together, a fair sample of all."""
    both = Joined(images.train, images.test)
    index = np.sort(numpy_stream(0, "reference", "all", len(both)).permutation(len(both))[:count])
    return rows_on_disk(cast(np.ndarray, both), index)
