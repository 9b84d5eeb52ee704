"""A built data set in the cache: its folder, its recipe, and its arrays as memory maps.

A built set is a folder <cache>/data/NAME-RESOLUTION (bench.data.disk).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import paths
from bench.data import disk, own_sets
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.errors import UserError

SPLITS = ("train", "test")
RESOLUTIONS = (8, 1024)  # least and largest, in pixels


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


def find(name: str, resolution: int) -> tuple[DatasetEntry, Path]:
    """The entry of a set and its folder; a set of the user's own may have another entry at each resolution."""
    known = datasets()
    entry, folder = known.load(name), folder_of(name, resolution)
    if known.entry(name).target.startswith(own_sets.TARGET):
        entry = own_sets.entry_of(folder) or entry
    return entry, folder


def folder_of(name: str, resolution: int) -> Path:
    """The folder of a built set. UserError for a resolution that no set can have."""
    low, high = RESOLUTIONS
    if not low <= resolution <= high:
        raise UserError(f"data set '{name}' at {resolution} px: the resolution must be {low} to {high}")
    return paths.cache_root() / "data" / f"{name}-{resolution}"


def build_command(name: str, resolution: int, entry: DatasetEntry) -> str:
    """The command that builds a set."""
    return f"bench data build {name} --resolution {resolution}{'' if entry.embedded else ' --from DIR'}"


def recipe(entry: DatasetEntry) -> dict[str, Any]:
    """What a built set depends on; a change of it makes the set stale.

    The layout is not part of it: how a release arranges the pictures does not change what they are.
    """
    return entry.model_dump(mode="json", include={"builder", "options", "train", "test"})


def open_set(name: str, resolution: int, entry: DatasetEntry, folder: Path) -> ImageSet:
    """The set in a folder, opened without recomputing its sums. UserError for a damaged one."""
    meta = disk.read_meta(folder)
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
