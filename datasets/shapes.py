"""Coloured shapes drawn by arithmetic alone: the smallest set there is, for checks and tests."""

from __future__ import annotations

import numpy as np

from bench.data.builder import Order, Splits
from bench.seeds import numpy_stream

CLASSES = ("disc", "square", "triangle", "ring")
SUPERSAMPLING = 4  # samples per pixel and axis
LICENCE = "MIT: made by this project; no third party's picture is in it."


def build(order: Order) -> Splits:
    """`entry.train` and `entry.test` pictures of one shape each, classes balanced; labels index CLASSES.

    The same shapes at every resolution: place, size, angle and two colours are drawn before pixels are.
    """
    stream = numpy_stream(0, "shapes", "classes")
    counts = (order.entry.train, order.entry.test)
    labels = np.concatenate([stream.permutation(np.arange(count) % len(CLASSES)) for count in counts])
    images = _draw(labels, order.resolution)
    cut = order.entry.train
    return Splits(
        train=images[:cut],
        test=images[cut:],
        train_labels=labels[:cut],
        test_labels=labels[cut:],
        class_names=CLASSES,
        licence_text=LICENCE,
    )


def _draw(labels: np.ndarray, resolution: int) -> np.ndarray:
    """(N, R, R, 3) uint8: a background and a foreground colour, mixed by the shape's pixel coverage."""
    stream = numpy_stream(0, "shapes")
    count = len(labels)
    centre = stream.uniform(-0.3, 0.3, (count, 2))
    radius = stream.uniform(0.35, 0.6, count)
    angle = stream.uniform(0, 2 * np.pi, count)
    background = stream.uniform(0, 110, (count, 1, 1, 3))
    foreground = stream.uniform(140, 255, (count, 1, 1, 3))
    images = np.empty((count, resolution, resolution, 3), np.uint8)
    for first in range(0, count, 64):  # in blocks, to keep the oversampled grids small
        part = slice(first, first + 64)
        cover = _coverage(labels[part], centre[part], radius[part], angle[part], resolution)[..., None]
        images[part] = np.rint(background[part] * (1 - cover) + foreground[part] * cover)
    return images


def _coverage(
    labels: np.ndarray, centre: np.ndarray, radius: np.ndarray, angle: np.ndarray, resolution: int
) -> np.ndarray:
    """The share of each pixel that the shape covers, (N, R, R) in [0, 1]; the picture spans [-1, 1]."""
    fine = SUPERSAMPLING * resolution
    axis = (np.arange(fine) + 0.5) / fine * 2 - 1
    x = (axis[None, None, :] - centre[:, 0, None, None]) / radius[:, None, None]
    y = (axis[None, :, None] - centre[:, 1, None, None]) / radius[:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    u, v = cos * x + sin * y, cos * y - sin * x  # turned and scaled: the shape fits the unit circle
    squared = u**2 + v**2
    half = np.sqrt(0.5)
    inside = np.select(
        [labels[:, None, None] == label for label in range(len(CLASSES))],
        [
            squared < 1,
            np.maximum(np.abs(u), np.abs(v)) < half,
            np.maximum(-v, v / 2 + np.sqrt(0.75) * np.abs(u)) < 0.5,
            (squared < 1) & (squared > 0.3),
        ],
    )
    blocks = inside.reshape(len(labels), resolution, SUPERSAMPLING, resolution, SUPERSAMPLING)
    return blocks.mean(axis=(2, 4))
