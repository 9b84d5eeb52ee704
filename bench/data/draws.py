"""Which training images of a data set's pool a run trains on."""

from __future__ import annotations

import numpy as np

from bench import seeds
from bench.data import imageset
from bench.errors import UserError
from bench.files.memory_map import rows
from bench.seeds import numpy_stream
from bench.spec.run import DataSpec


def few_shot(n_train: int, shots: int, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """The indices of a few-shot draw, sorted, int64; with `labels` (n_train,) balanced over the classes.

    A function of its arguments alone, so that seed i trains every method on the same images; the draws of one
    seed are nested (25 shots are among the 50). Of a class too small for its share all
    images are drawn, and the other classes fill in. Raises UserError unless 1 <= shots <= n_train.
    """
    if not 1 <= shots <= n_train:
        raise UserError(f"cannot draw {shots} shots from {n_train} training images; choose 1 to {n_train}")
    stream = numpy_stream(seed, "few-shot", n_train)
    order = stream.permutation(n_train)
    if labels is not None:
        classes, class_of, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
        # The first image of every class, then the second of every class, and so on.
        rank = np.empty(n_train, np.int64)  # how many of its own class come before an image
        rank[np.argsort(class_of, kind="stable")] = np.arange(n_train) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[np.lexsort((stream.permutation(len(classes))[class_of], rank))]
    return np.sort(order[:shots]).astype(np.int64)


def training_images(data: DataSpec, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The run's training images (N, H, W, 3) uint8 and labels: its few-shot draw, or the whole train pool.

    The whole pool stays a memory map. The draw depends on the data set and the seed alone, so run i of every
    method trains on the same images.
    """
    images = imageset.load(data.name, data.resolution)
    if data.shots is None:
        return images.train, images.train_labels
    chosen = few_shot(len(images.train), data.shots, seeds.derive(seed, "data", data.name))
    labels = images.train_labels[chosen] if images.train_labels is not None else None
    return rows(images.train, chosen), labels
