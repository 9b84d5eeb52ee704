"""What a builder of a data set is asked for (Order), and what it gives back (Splits)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.data.catalogue import DatasetEntry
from bench.errors import UserError
from bench.files.memory_map import allocated

Split = Literal["train", "test"]
SET = "set"  # the part of the scratch folder that becomes the set
REPLACED = "replaced"  # the set that was there before, for as long as one takes the other's place


@dataclass(frozen=True)
class Order:
    """What a builder is asked for. `allocate` keeps a large split on disk, not in memory."""

    name: str
    entry: DatasetEntry
    resolution: int
    source: Path | None  # the user's folder or file; None for an embedded set
    scratch: Path  # the temporary folder, on the disk of the cache
    bad_allowed: int = 0  # so many files that cannot be used are left out and counted; more are an error
    jobs: int | None = None  # processes that decode; None for as many as there are cores
    share_asked: bool = False  # whether the user named the share of the test split, which is then to be drawn

    def allocate(self, split: Split, count: int) -> np.memmap:
        """A writable (count, R, R, 3) uint8 array on disk, to be returned as that split."""
        self.check_space(count)
        shape = (count, self.resolution, self.resolution, 3)
        return allocated(self.scratch / SET / f"{split}.npy", shape, np.dtype(np.uint8))

    def check_space(self, count: int) -> None:
        """UserError where the disk has no room for so many images: said before anything is written."""
        needed, free = count * self.resolution**2 * 3, shutil.disk_usage(self.scratch).free
        if needed > free:
            raise UserError(
                f"data set '{self.name}': {count:,} images need {needed / 1e9:,.1f} GB, {self.scratch.parent} has "
                f"{free / 1e9:,.1f} GB free; BENCH_CACHE names another place"
            )


@dataclass(frozen=True, eq=False)
class Splits:
    """What a builder returns: images (N, R, R, 3) uint8 RGB, labels (N,) int64 that index `class_names`.

    Attributes (N, A) uint8 have a column for each of `attribute_names`: 1 where an image has the attribute and 0 where
    not, or the number of its kind (which hat, which background). Both splits have them, or neither.

    Both splits are in random order, so that the first n images are a fair sample wherever fewer are wanted.
    """

    train: np.ndarray
    test: np.ndarray
    licence_text: str
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # distributions whose version decides the pixels
    overlap: bool = False  # the reference holds the training images on purpose (it is a whole class)
    notes: dict[str, Any] = field(default_factory=dict)  # for meta.json: resize recipe, dropped duplicates
    train_attributes: np.ndarray | None = None
    test_attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
