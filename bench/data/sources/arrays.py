"""Arrays of numpy: one in a .npy, or several by name in a .npz, with labels and splits where the names say so."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from bench.data.sources.npy import MAGIC, StoredArray, read_header
from bench.data.sources.npz import listed, opened_npz
from bench.data.sources.pixels import Order, order_of, picture, scale_of
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.data.sources.split_names import kind_left_out, meant
from bench.errors import UserError
from bench.files.extents import Extent

# Arrays of pictures by their names, in lower case, with the names of their labels: as Keras, medmnist and np.savez do.
SPLIT_NAMES = {
    "train": {"x_train": "y_train", "train_images": "train_labels"},
    "validation": {"x_val": "y_val", "val_images": "val_labels"},
    "test": {"x_test": "y_test", "test_images": "test_labels"},
}
WHOLE_NAMES = ("x", "images", "arr_0", "data")
LABEL_NAMES = ("y", "labels", "arr_1")


def is_npy(path: Path, head: bytes) -> bool:
    """Whether a file is an array of numpy's, by its first bytes."""
    return head.startswith(MAGIC)


@dataclass(frozen=True)
class _Part:
    """One array of pictures."""

    images: StoredArray
    order: Order
    scale: int


class _ArraySource(Source):
    """Pictures that are entries of arrays: each is read by itself, from where it lies in the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._parts: dict[str, _Part] = {}

    def read(self, name: str, most: int | None = None) -> np.ndarray:
        """A picture as (H, W, 3) uint8. BadItemError where the file has become shorter."""
        key, _, index = name.rpartition("#")
        part = self._parts[key]
        pixels = part.images.row_bytes // part.images.dtype.itemsize
        if most is not None and max(part.images.row_bytes, pixels) > most:
            raise too_large(max(part.images.row_bytes, pixels), most)
        try:
            row = part.images.rows(int(index), 1)[0]
        except OSError as error:
            raise BadItemError(f"cannot be read ({error})") from error
        return picture(row, part.order, part.scale)

    def _take(self, key: str, images: StoredArray, where: str) -> Iterator[str]:
        """Add an array; the names of its pictures, in order."""
        order = order_of(images.shape, where)
        self._parts[key] = _Part(images, order, scale_of(images, where))
        return (f"{key}#{index:08d}" for index in range(images.shape[0]))


class NpySource(_ArraySource):
    """The pictures of a .npy. They have neither labels nor splits."""

    def items(self) -> Iterator[Item]:
        """Every picture, in order. UserError for an array that is damaged or whose meaning is not plain."""
        images = read_header(Extent(self.path, 0, self.path.stat().st_size), str(self.path))
        return map(Item, self._take(self.path.stem, images, str(self.path)))


class NpzSource(_ArraySource):
    """The pictures of a .npz: `x_train` and `x_test` with `y_train` and `y_test`, or one array with its labels."""

    def items(self) -> Iterator[Item]:
        """Every picture by array and place. UserError for damaged arrays, and for names that are not known."""
        self.left_out.clear()
        self._parts.clear()
        with opened_npz(self.path, self.scratch) as npz:
            chosen = _chosen(npz.names, self.path)
            splits = meant(one.split for one in chosen)
            if others := len(npz.names) - sum(1 + bool(one.labels) for one in chosen):
                self.left_out["other arrays"] += others
            for one in chosen:
                images = npz.array(one.images)
                if one.split not in splits:
                    self.left_out[kind_left_out(one.split)] += images.shape[0]
                    continue
                names = self._take(one.images, images, npz.where(one.images))
                labels = npz.labels(one.labels, images.shape[0]) if one.labels else repeat(None, images.shape[0])
                yield from (Item(name, label, splits[one.split]) for name, label in zip(names, labels, strict=True))


@dataclass(frozen=True)
class _Choice:
    """Names of arrays that belong together."""

    images: str
    labels: str | None
    split: str | None


def _chosen(names: Collection[str], path: Path) -> list[_Choice]:
    """The arrays of pictures with their labels and splits, sorted by name."""
    known = {name.lower(): name for name in names}
    chosen = [
        _Choice(known[images], known.get(labels), split)
        for split, pairs in SPLIT_NAMES.items()
        for images, labels in pairs.items()
        if images in known
    ]
    whole = [known[name] for name in WHOLE_NAMES if name in known]
    if len(whole) + bool(chosen) != 1 or len({one.split for one in chosen}) < len(chosen):
        raise UserError(
            f"{path}: holds the arrays {listed(names)}; its pictures must be in x_train and "
            f"x_test, or in exactly one of {', '.join(WHOLE_NAMES)}"
        )
    if whole:
        chosen = [_Choice(whole[0], next((known[name] for name in LABEL_NAMES if name in known), None), None)]
    return sorted(chosen, key=lambda one: one.images)
