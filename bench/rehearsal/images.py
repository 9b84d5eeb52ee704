"""Images of paper size for rehearsals, where the papers' own are missing: those of a small set, enlarged."""

from __future__ import annotations

import numpy as np
from PIL import Image

from bench.data import imageset
from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.spec.run import DataSpec

ENTRY: DatasetEntry  # set by `offer`; a rehearsal's process has one data set


def offer(name: str, images_from: DataSpec, images: int, classes: int | None) -> None:
    """Register the data set `name` with `images` training images of any size, and labels if there are classes."""
    global ENTRY
    ENTRY = DatasetEntry(
        summary=f"{images_from.name} at {images_from.resolution} px, enlarged",
        builder=f"{__name__}:build",
        licence="that of the enlarged set",
        source=images_from.name,
        train=images,
        test=1,
        options={"from": images_from.name, "pixels": images_from.resolution, "classes": classes},
    )
    datasets().add(name, f"{__name__}:ENTRY", ENTRY.summary)


def build(order: Order) -> Splits:
    """`entry.train` enlarged images, with repeats if the small set has fewer; labels are 0 to classes - 1."""
    options = order.entry.options
    small = imageset.load(options["from"], options["pixels"])
    train = order.allocate("train", order.entry.train)
    for number in range(len(train)):
        train[number] = _enlarged(small.train[number % len(small.train)], order.resolution)
    classes = options["classes"]
    return Splits(
        train=train,
        test=_enlarged(small.test[0], order.resolution)[None],
        licence_text=small.entry.licence,
        train_labels=None if classes is None else _labels(len(train), classes),
        test_labels=None if classes is None else _labels(1, classes),
        class_names=tuple(str(label) for label in range(classes or 0)),
    )


def _enlarged(image_HWC: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image_HWC).resize((side, side), Image.Resampling.BICUBIC))


def _labels(count: int, classes: int) -> np.ndarray:
    """Labels spread evenly over all classes; the last class occurs even if there are fewer images than classes."""
    return np.linspace(0, classes - 1, count).round().astype(np.int64) if count > 1 else np.zeros(1, np.int64)
