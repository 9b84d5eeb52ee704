"""A built data set in the cache: its record and its arrays as memory maps.

A built set is a folder <cache>/data/NAME-RESOLUTION (bench.data.disk).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.data import disk
from bench.data.catalogue import DatasetEntry
from bench.data.meta import read_meta


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A built data set at one resolution; its arrays are read-only memory maps."""

    name: str
    resolution: int
    train: np.ndarray  # (N, R, R, 3) uint8 RGB
    test: np.ndarray  # (M, R, R, 3) uint8 RGB
    train_labels: np.ndarray | None  # (N,) int64, indices into class_names
    test_labels: np.ndarray | None
    class_names: tuple[str, ...]
    sha256: str  # over the arrays' names, types, shapes and bytes
    licence: str
    entry: DatasetEntry
    notes: dict[str, Any] = field(default_factory=dict)  # from its builder: resize recipe, dropped duplicates
    train_attributes: np.ndarray | None = None  # (N, A) uint8, a column for each of attribute_names
    test_attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()


def open_set(name: str, resolution: int, entry: DatasetEntry, folder: Path) -> ImageSet:
    """The set in a folder, opened without recomputing its sums. UserError for a damaged one."""
    meta = read_meta(folder)
    arrays = {file: disk.read_array(folder, file, record) for file, record in meta["files"].items()}
    return ImageSet(
        name=name,
        resolution=resolution,
        train=arrays["train.npy"],
        test=arrays["test.npy"],
        train_labels=arrays.get("train_labels.npy"),
        test_labels=arrays.get("test_labels.npy"),
        class_names=tuple(meta["class_names"]),
        sha256=meta["sha256"],
        licence=meta["licence"],
        entry=entry,
        notes=meta.get("notes", {}),
        train_attributes=arrays.get("train_attributes.npy"),
        test_attributes=arrays.get("test_attributes.npy"),
        attribute_names=tuple(meta.get("attribute_names", ())),
    )
