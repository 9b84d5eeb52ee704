"""Pictures decoded into one array on disk, and a split's images, labels and attributes taken from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data.builder import Order, Split
from bench.data.marks import Mark
from bench.data.picture import Fit
from bench.data.picture_pile import Pile
from bench.data.sources.source import Item
from bench.files.memory_map import ROWS, release, rows
from bench.machine.workers import Workers

from .picture_options import any_shape


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures by name: their rows in `array` (N, R, R, 3) uint8, and the marks by which copies are found.

    A picture that could not be decoded has a row of no use and no marks.
    """

    array: np.ndarray
    rows: dict[str, int]
    marks: dict[str, Mark]


def check_sizes(order: Order, options: Mapping[str, Any], pile: Pile) -> None:
    """Reject pictures of a size that the set cannot use, before hours are spent on decoding."""
    squares = Counter(header.width for header in pile.pictures.values() if header.width == header.height)
    usual = squares.most_common(1)[0][0] if squares else None  # the first of the most frequent widths
    for name, header in list(pile.pictures.items()):
        if min(header.width, header.height) < order.resolution and options.get("small") != "enlarge":
            pile.reject(name, f"{header.text} are too few for {order.resolution} px")
        elif not any_shape(options) and header.width != header.height:
            pile.reject(name, f"{header.text} are no square, as '{order.name}' needs")
        elif not any_shape(options) and header.width != usual:
            pile.reject(name, f"{header.text}, but most have {usual} x {usual}; '{order.name}' needs one size")


def decode_all(order: Order, names: Sequence[str], pile: Pile, workers: Workers, fit: Fit) -> Decoded:
    """Every picture decoded; those that cannot be are rejected, all of them, so that one message can name them."""
    order.check_space(2 * len(names))  # decoded, and as splits
    array = order.allocate("decoded", len(names))
    pile.decode(array, names, workers, order.name, fit)
    marks = pile.marks(array, names, workers, order.name)
    return Decoded(array, {name: row for row, name in enumerate(names)}, marks)


def write_rows(order: Order, split: Split, decoded: Decoded, pictures: Sequence[Item]) -> np.ndarray:
    """A split on disk, of decoded pictures in this order."""
    images = order.allocate(split, len(pictures))
    places = np.asarray([decoded.rows[item.name] for item in pictures], np.int64)
    for start in range(0, len(places), ROWS):
        images[start : start + ROWS] = rows(decoded.array, places[start : start + ROWS])
        release(images)
    return images


def labels_of(pictures: Sequence[Item], class_names: Sequence[str]) -> np.ndarray | None:
    """(N,) int64 places in `class_names`; None for a set without classes."""
    if not class_names:
        return None
    place = {name: number for number, name in enumerate(class_names)}
    return np.asarray([place[item.label or ""] for item in pictures], np.int64)


def attributes_of(pictures: Sequence[Item], names: Sequence[str]) -> np.ndarray | None:
    """(N, A) uint8, a column for each name; None for a set without attributes."""
    if not names:
        return None
    return np.asarray([[item.attributes[name] for name in names] for item in pictures], np.uint8).reshape(
        -1, len(names)
    )
