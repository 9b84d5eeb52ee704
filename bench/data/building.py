"""Building a data set: it appears whole or not at all, and what its builder returns is checked first.

What goes into a set is the business of a builder, a function (Order) -> Splits that a catalogue entry names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.data import disk, own_sets
from bench.data.builder import SET, Order, Splits
from bench.data.built_set import ImageSet, open_set
from bench.data.catalogue import DatasetEntry
from bench.data.image_digests import shared_images
from bench.data.known import datasets, know_own
from bench.data.places import SPLITS, build_command, cannot_write, find, folder_of, recipe
from bench.data.scratch import scratch_folder
from bench.errors import UserError


def build(
    name: str,
    resolution: int,
    source: Path | None = None,
    force: bool = False,
    *,
    skip_bad: bool | int = False,
    test_share: float | None = None,
    fit: str | None = None,
    shots: int | None = None,
    ignore_near_copies: bool = False,
    jobs: int | None = None,
) -> ImageSet:
    """Build a data set and open it; `source` is the user's folder or file for a set that is not embedded.

    An unknown name becomes a set of the user's own: `test_share` of it is the test split, `fit` (own_sets.FITS) makes
    its pictures square, its column in a table trains on `shots` of them, and near copies of a training picture may be
    in its test split with `ignore_near_copies`. skip_bad: so many files that cannot be used, True for any number, are
    left out and counted. jobs: processes that decode; as many as there are cores.

    A build that was ended, also by a kill or for its bad files, goes on with the pictures that it had converted.

    The set appears in one rename. Of two processes that build it at once, the later uses the set of the earlier.
    Raises UserError for whatever the builder refuses, and where the cache cannot be written.
    """
    bad_allowed = sys.maxsize if skip_bad is True else int(skip_bad)
    wishes = own_sets.Wishes(test_share, fit, shots, ignore_near_copies)
    entry, folder = _ordered(name, resolution, source, wishes)
    own = "test_share" in entry.options

    if entry.embedded and (source is not None or skip_bad):
        raise UserError(f"data set '{name}' is made from installed packages; leave out --from and --skip-bad")
    if not own:
        _refuse_wishes(name, wishes)
    if not entry.embedded and source is None:
        fetched = ", or --download in place of --from" if entry.downloads() else ""
        command = build_command(name, resolution, entry)
        raise UserError(f"data set '{name}' needs your files; run `{command}`{fetched}")

    # A set that is built already is opened, unless the user asks for another.
    if folder.is_dir() and not force:
        if source is not None:
            raise UserError(f"data set '{name}' at {resolution} px is built already; add --force to replace it")
        return open_set(name, resolution, entry, folder)

    # Built in a temporary folder, a part of which is renamed when it is whole and checked.
    print(f"building data set '{name}' at {resolution} px in {folder}", file=sys.stderr)
    try:
        with scratch_folder(folder) as scratch:
            order = Order(name, entry, resolution, source, scratch, bad_allowed, jobs, test_share is not None)
            splits = _builder(name, entry)(order)
            _check(name, resolution, entry, splits)
            if own:
                entry = own_sets.counted(name, entry, len(splits.train), len(splits.test))
            meta = _meta(name, resolution, entry, splits)
            if own:
                meta["own"] = entry.model_dump(mode="json")
            disk.write(scratch / SET, _arrays(splits), splits.licence_text, meta)
            disk.publish(scratch, folder, force)
    except OSError as error:
        raise cannot_write(folder, error) from error
    if own:
        know_own(name, entry)
    return open_set(name, resolution, entry, folder)


def _ordered(name: str, resolution: int, source: Path | None, wishes: own_sets.Wishes) -> tuple[DatasetEntry, Path]:
    """The entry by which a set is to be built, and its folder."""
    known = datasets()
    own = name in known and known.entry(name).target.startswith(own_sets.TARGET)
    if source is None or (name in known and not own):
        return find(name, resolution)
    others = [entry.name for entry in known if entry.name != name]
    return own_sets.new_entry(name, others, wishes), folder_of(name, resolution)


def _refuse_wishes(name: str, wishes: own_sets.Wishes) -> None:
    """UserError for what can be asked of a set of one's own alone."""
    if wishes.test_share is not None:
        raise UserError(f"data set '{name}' has its own split; leave out --test-share")
    if wishes.fit is not None:
        raise UserError(f"data set '{name}' has its own way to make squares; leave out --fit")
    if wishes.shots is not None:
        raise UserError(f"data set '{name}' has the shots of each table's columns; leave out --shots")
    if wishes.ignore_near_copies:
        raise UserError(f"data set '{name}' has its own rule for near copies; leave out --ignore-near-copies")


def _builder(name: str, entry: DatasetEntry) -> Callable[[Order], Splits]:
    module, _, function = entry.builder.partition(":")
    try:
        build: Callable[[Order], Splits] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise UserError(
            f"data set '{name}' needs the module '{error.name}', which is not installed; "
            "pip install 'lowdata-gan-bench[embedded]'"
        ) from error
    except AttributeError as error:
        raise UserError(f"data set '{name}': its builder '{entry.builder}' does not exist") from error
    return build


def _check(name: str, resolution: int, entry: DatasetEntry, splits: Splits) -> None:
    """UserError for splits that break the contract of a data set (bench.data.builder)."""
    for split in SPLITS:
        images, labels = getattr(splits, split), getattr(splits, f"{split}_labels")
        needed = getattr(entry, split)
        if images.dtype != np.uint8 or images.shape[1:] != (resolution, resolution, 3):
            raise UserError(f"data set '{name}': {split} is {images.dtype} {images.shape}, not uint8 NHWC")
        if len(images) < needed:
            raise UserError(f"data set '{name}': {split} has {len(images)} images, {needed} are needed")
        if labels is not None and (
            labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= len(splits.class_names)
        ):
            raise UserError(f"data set '{name}': the {split} labels do not fit its images and class names")
        _check_attributes(name, split, splits)
    if not splits.overlap and (shared := shared_images(splits.train, splits.test)):
        raise UserError(f"data set '{name}': {shared} images are both in train and in test")


def _check_attributes(name: str, split: str, splits: Splits) -> None:
    attributes, names = getattr(splits, f"{split}_attributes"), splits.attribute_names
    if len(set(names)) != len(names) or not all(names):
        raise UserError(f"data set '{name}': its attribute names are not all different and not empty: {names}")
    if attributes is None:
        if names:
            raise UserError(f"data set '{name}' names attributes, but its {split} images have none")
        return
    wanted = len(getattr(splits, split)), len(names)
    if not names or attributes.dtype != np.uint8 or attributes.shape != wanted:
        raise UserError(
            f"data set '{name}': the {split} attributes are {attributes.dtype} {attributes.shape}, not uint8 {wanted} "
            "(images, attribute names)"
        )


def _arrays(splits: Splits) -> dict[str, np.ndarray]:
    """File -> array. What a set lacks has no file, so that its sum stays that of what it has."""
    arrays = {f"{split}.npy": getattr(splits, split) for split in SPLITS}
    for split in SPLITS:
        labels, attributes = getattr(splits, f"{split}_labels"), getattr(splits, f"{split}_attributes")
        if labels is not None:
            arrays[f"{split}_labels.npy"] = labels.astype(np.int64)
        if attributes is not None:
            arrays[f"{split}_attributes.npy"] = attributes
    return arrays


def _meta(name: str, resolution: int, entry: DatasetEntry, splits: Splits) -> dict[str, Any]:
    versions = {package: version(package) for package in ("numpy", "pillow", *splits.packages)}
    attributes = {"attribute_names": list(splits.attribute_names)} if splits.attribute_names else {}
    return {
        "name": name,
        "resolution": resolution,
        "recipe": recipe(entry),
        "class_names": list(splits.class_names),
        **attributes,
        "licence": entry.licence,
        "source": entry.source,
        "packages": versions | {"bench": bench.__version__},
        "notes": splits.notes,
    }
