"""What is in a built data set: counts, classes, attributes, copies, colours, files. `bench data stats` prints it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.built_set import ImageSet, open_set
from bench.data.counting import not_built
from bench.data.duplicates import exact_duplicates, near_duplicates
from bench.data.meta import build_again, read_meta
from bench.data.places import SPLITS, find, folder_of, recipe
from bench.errors import UserError
from bench.files.memory_map import parts

CHANNELS = ("red", "green", "blue")
AT_ONCE = 4 * 2**20  # bytes of images whose pixels are counted together


@dataclass(frozen=True)
class Colour:
    """The values of one channel over all images of the set, 0 to 255."""

    channel: str
    min: int
    mean: float
    max: int
    std: float


@dataclass(frozen=True)
class Group:
    """Images that are copies of one another, as (split, index) in the order of the set."""

    kind: str  # "exact", or "near" where not all pixels of all of them are equal
    images: tuple[tuple[str, int], ...]

    @property
    def across(self) -> bool:
        """Whether both splits have one of them."""
        return len({split for split, _ in self.images}) > 1


@dataclass(frozen=True)
class Summary:
    """All that `bench data stats` says of a set."""

    name: str
    resolution: int
    sha256: str
    licence: str
    images: dict[str, int]  # by split
    classes: dict[str, dict[str, int]]  # class -> split -> images; empty for a set without labels
    attributes: dict[str, dict[str, float]]  # attribute -> split -> share of its images
    colours: list[Colour]
    grey: int  # images whose channels are equal
    constant: int  # images of one colour
    one_split: bool  # the reference is the training images; they are counted once
    copies: list[Group]
    files: dict[str, int]  # bytes
    notes: dict[str, Any] = field(default_factory=dict)


def open_built(name: str, resolution: int) -> ImageSet:
    """A set that is built already, opened. UserError for an unknown name, and the command that builds it otherwise."""
    entry, folder = find(name, resolution)
    if not folder.is_dir() or read_meta(folder)["recipe"] != recipe(entry):
        raise UserError(not_built(name, resolution))
    return open_set(name, resolution, entry, folder)


def summarise(name: str, resolution: int) -> Summary:
    """Look at every image of a built set. UserError as `open_built`."""
    images, folder = open_built(name, resolution), find(name, resolution)[1]
    sums = {split: read_meta(folder)["files"][f"{split}.npy"]["sha256"] for split in SPLITS}
    one_split = sums["train"] == sums["test"]
    arrays = [images.train] if one_split else [images.train, images.test]
    colours, grey, constant = _colours(arrays)
    return Summary(
        name=name,
        resolution=resolution,
        sha256=images.sha256,
        licence=images.licence,
        images={split: len(getattr(images, split)) for split in SPLITS},
        classes=_classes(images),
        attributes=_attributes(images),
        colours=colours,
        grey=grey,
        constant=constant,
        one_split=one_split,
        copies=_copies(arrays),
        files=_files(folder),
        notes=images.notes,
    )


def _classes(images: ImageSet) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in images.class_names}
    for split in SPLITS:
        labels = getattr(images, f"{split}_labels")
        if labels is not None:
            if labels.min() < 0 or labels.max() >= len(counts):
                folder = folder_of(images.name, images.resolution)
                raise UserError(f"{folder}: the {split} labels do not fit its classes; {build_again(folder)}")
            for name, count in zip(images.class_names, np.bincount(labels, minlength=len(counts)), strict=True):
                counts[name][split] = int(count)
    return counts


def _attributes(images: ImageSet) -> dict[str, dict[str, float]]:
    shares: dict[str, dict[str, float]] = {name: {} for name in images.attribute_names}
    for split in SPLITS:
        attributes = getattr(images, f"{split}_attributes")
        if attributes is not None and len(attributes):
            for name, share in zip(images.attribute_names, (attributes != 0).mean(0), strict=True):
                shares[name][split] = float(share)
    return shares


def _colours(arrays: list[np.ndarray]) -> tuple[list[Colour], int, int]:
    """The channels' values, and how many images are grey, and of one colour."""
    counts = np.zeros((len(CHANNELS), 256), np.int64)  # of each value of each channel
    grey = constant = 0
    for array in arrays:
        for images_NHWC in parts(array, AT_ONCE):
            for channel in range(len(CHANNELS)):
                counts[channel] += np.bincount(images_NHWC[..., channel].reshape(-1), minlength=256)
            grey += int((images_NHWC == images_NHWC[..., :1]).all((1, 2, 3)).sum())
            constant += int((images_NHWC == images_NHWC[:, :1, :1]).all((1, 2, 3)).sum())
    values = np.arange(256)
    colours = []
    for name, count in zip(CHANNELS, counts, strict=True):
        there = np.flatnonzero(count)
        mean = float(np.average(values, weights=count))
        std = float(np.sqrt(np.average((values - mean) ** 2, weights=count)))
        colours.append(Colour(name, int(there[0]), mean, int(there[-1]), std))
    return colours, grey, constant


def _copies(arrays: list[np.ndarray]) -> list[Group]:
    """Every group of copies, exact and near; a group of exact ones that is part of a near one is not given apart."""
    exact = {tuple(group) for group in exact_duplicates(*arrays)}
    ends = np.cumsum([len(array) for array in arrays])

    def named(index: int) -> tuple[str, int]:
        which = int(np.searchsorted(ends, index, side="right"))
        return SPLITS[which], index - (int(ends[which - 1]) if which else 0)

    return [
        Group("exact" if tuple(group) in exact else "near", tuple(named(index) for index in group))
        for group in near_duplicates(*arrays)
    ]


def _files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
