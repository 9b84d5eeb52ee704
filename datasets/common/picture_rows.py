"""Pictures decoded into one array on disk, and a split's images, labels and attributes taken from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.data.builder import Order, Split
from bench.data.journal import key_of, open_journal
from bench.data.picture_pile import Pile, Places
from bench.data.sources.item_table import ItemTable, Names
from bench.files.memory_map import copy_rows
from bench.machine.workers import Workers

from .picture_options import any_shape, are_near_copies_apart, fit_of


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pictures: their rows in the table of items, ascending, and what was made of each.

    A picture that could not be decoded has a row of no use and no marks.
    """

    items: np.ndarray  # (n,) int64
    array: np.memmap  # (n, R, R, 3) uint8
    marks: np.ndarray  # (n,) MARKS, by which copies are found
    done: np.ndarray  # (n,) bool: which could be decoded

    def places(self, items: np.ndarray) -> np.ndarray:
        """Where in these arrays the pictures of some rows of the table are."""
        return np.searchsorted(self.items, items)


def check_sizes(order: Order, options: Mapping[str, Any], pile: Pile) -> None:
    """Reject pictures of a size that the set cannot use, before hours are spent on decoding."""
    pictures = pile.pictures()
    width, height = pile.looks["width"][pictures], pile.looks["height"][pictures]
    square, usual = width == height, None
    if square.any():  # the first of the most frequent widths
        widths, first, counts = np.unique(width[square], return_index=True, return_counts=True)
        usual = int(widths[np.lexsort((first, -counts))[0]])
    small = (np.minimum(width, height) < order.resolution) & (options.get("small") != "enlarge")
    odd = np.zeros(len(pictures), bool) if any_shape(options) else ~square | (width != (usual or 0))
    for row in pictures[small | odd].tolist():
        text, shape = pile.size_text(row), pile.looks[row]
        if min(shape["width"], shape["height"]) < order.resolution and options.get("small") != "enlarge":
            pile.reject(row, f"{text} are too few for {order.resolution} px")
        elif shape["width"] != shape["height"]:
            pile.reject(row, f"{text} are no square, as '{order.name}' needs")
        else:
            pile.reject(row, f"{text}, but most have {usual} x {usual}; '{order.name}' needs one size")


def decode_all(order: Order, items: np.ndarray, pile: Pile, workers: Workers, options: Mapping[str, Any]) -> Decoded:
    """The pictures of these rows decoded; those that cannot be are rejected, all, so that one message can name them.

    Those that an earlier build of the same pictures had decoded before it was ended are taken as they are.
    """
    fit, near = fit_of(options), are_near_copies_apart(options)
    key = key_of(pile.source, Names(pile.items, items), order.resolution, fit, near)
    journal = open_journal(order, key, len(items))
    journal.check(workers, order.name, near)
    todo = np.flatnonzero(~journal.done)
    pile.decode(
        journal.array, Places(pile.items, items[todo], todo), workers, order.name, fit, near=near, noted=journal.note
    )
    return Decoded(items, journal.array, journal.marks, journal.done)


def write_rows(order: Order, split: Split, decoded: Decoded, items: np.ndarray) -> np.ndarray:
    """A split on disk, of the decoded pictures of these rows, in this order."""
    images = order.allocate(split, len(items))
    copy_rows(decoded.array, decoded.places(items), images)
    return images


def labels_of(table: ItemTable, items: np.ndarray, class_names: Sequence[str]) -> np.ndarray | None:
    """(N,) int64 places in `class_names` of the pictures of these rows; None for a set without classes."""
    if not class_names:
        return None
    place = {name: number for number, name in enumerate(class_names)}
    codes, labels = table.labels()
    place_of = np.array([place.get(label or "", -1) for label in labels], np.int64)
    found: np.ndarray = place_of[codes[items]]
    if (found < 0).any():
        raise ValueError(f"a label that is no class: {labels[codes[items[found < 0][0]]]}")
    return found


def attributes_of(table: ItemTable, items: np.ndarray, names: Sequence[str]) -> np.ndarray | None:
    """(N, A) uint8, a column for each name; None for a set without attributes."""
    if not names:
        return None
    return np.stack([table.attribute(name)[items] for name in names], axis=1)
