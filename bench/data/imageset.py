"""Data sets: built once, whole or absent, checksummed, and read through memory maps.

A built set is a folder <cache>/data/NAME-RESOLUTION (bench.data.disk). What goes into it is the business of
a builder, a function (Order) -> Splits that a catalogue entry names.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

import bench
from bench import paths
from bench.data import disk, own_sets
from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets, know_own
from bench.errors import UserError

SPLITS = ("train", "test")
RESOLUTIONS = (8, 1024)


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
    notes: dict[str, Any] = field(default_factory=dict)  # what its builder says of it


@dataclass(frozen=True)
class Verdict:
    """One line of `verify`. "differs" is said of the catalogue's sum only: a damaged file raises."""

    subject: str
    verdict: Literal["ok", "differs", "unknown"]
    text: str


@dataclass(frozen=True)
class Built:
    """One line of `list_built`; `problem` says why a folder cannot be used."""

    name: str
    resolution: int
    path: Path
    train: int = 0
    test: int = 0
    sha256: str = ""
    bytes: int = 0
    problem: str = ""


def load(name: str, resolution: int) -> ImageSet:
    """The data set, opened; an embedded one that is absent or of an older recipe is built first.

    Raises UserError for an unknown name, a set that needs the user's files, and a damaged folder. Sums are
    not recomputed here: that is what `verify` does.
    """
    entry, folder = _find(name, resolution)
    stale = folder.is_dir() and disk.read_meta(folder)["recipe"] != _recipe(entry)
    if folder.is_dir() and not stale:
        return _open(name, resolution, entry, folder)
    if not entry.embedded:
        raise UserError(not_built(name, resolution))
    return build(name, resolution, force=stale)


def counts(name: str, resolution: int) -> tuple[int, int] | None:
    """How many training and test images a set has, from its meta.json or, for an embedded set that is yet to be built,
    from the catalogue; None for a set of the user's that is not built.

    Raises UserError as `load` does for an unknown name, an impossible resolution and a damaged folder.
    """
    entry, folder = _find(name, resolution)
    meta = disk.read_meta(folder) if folder.is_dir() else None
    if meta is None or meta["recipe"] != _recipe(entry):
        return (entry.train, entry.test) if entry.embedded else None
    train, test = (meta["files"][f"{split}.npy"]["shape"][0] for split in SPLITS)
    return train, test


def not_built(name: str, resolution: int) -> str:
    """What to say of a set of the user's that is not there."""
    entry, folder = _find(name, resolution)
    state = "was built by another recipe" if folder.is_dir() else "is not built"
    command = _command(name, resolution, entry) + " --force" * folder.is_dir()
    return f"data set '{name}' at {resolution} px {state}; run `{command}`"


def build(
    name: str,
    resolution: int,
    source: Path | None = None,
    force: bool = False,
    *,
    skip_bad: bool = False,
    test_share: float | None = None,
    fit: Literal["centre", "stretch"] | None = None,
) -> ImageSet:
    """Build a data set and open it; `source` is the user's folder for a set that is not embedded.

    A name that nothing has becomes a set of the user's own, `test_share` of which is the test split, its pictures
    made squares by `fit`. skip_bad: files that cannot be used are left out and counted. The set appears in one
    rename. Of two processes that build it at once, the later uses the earlier's. Raises UserError for whatever
    the builder refuses, and where the cache cannot be written.
    """
    entry, folder = _ordered(name, resolution, source, test_share, fit)
    own = "test_share" in entry.options
    if entry.embedded and (source is not None or skip_bad):
        raise UserError(f"data set '{name}' is made from installed packages; leave out --from and --skip-bad")
    if test_share is not None and not own:
        raise UserError(f"data set '{name}' has its own split; leave out --test-share")
    if fit is not None and not own:
        raise UserError(f"data set '{name}' has its own way to make squares; leave out --fit")
    if not entry.embedded and source is None:
        raise UserError(f"data set '{name}' needs your files; run `{_command(name, resolution, entry)}`")
    if folder.is_dir() and not force:
        if source is not None:
            raise UserError(
                f"data set '{name}' at {resolution} px is built already; add --force to replace it"
            )
        return _open(name, resolution, entry, folder)
    print(f"building data set '{name}' at {resolution} px in {folder}", file=sys.stderr)
    scratch = disk.scratch_folder(folder)
    try:
        splits = _builder(name, entry)(Order(name, entry, resolution, source, scratch, skip_bad))
        (scratch / "decoded.npy").unlink(missing_ok=True)
        _check(name, resolution, entry, splits)
        if own:
            entry = own_sets.counted(entry, len(splits.train), len(splits.test))
        meta = _meta(name, resolution, entry, splits)
        if own:
            meta["own"] = entry.model_dump(mode="json")
        disk.write(scratch, _arrays(splits), splits.licence_text, meta)
        disk.publish(scratch, folder, force)
    except OSError as error:
        raise disk.cannot_write(folder, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if own:
        know_own(name, entry)
    return _open(name, resolution, entry, folder)


def verify(name: str, resolution: int) -> list[Verdict]:
    """Recompute the sums of a built set.

    Raises UserError naming the file whose content differs from what meta.json recorded. Whether the set
    equals the one the project built (the catalogue's known_sha256) is a finding, not an error: other package
    versions or another processor may round a pixel differently.
    """
    entry, folder = _find(name, resolution)
    if not folder.is_dir():
        command = _command(name, resolution, entry)
        raise UserError(f"data set '{name}' at {resolution} px is not built; run `{command}`")
    meta = disk.read_meta(folder)
    again = disk.build_again(folder)
    findings = []
    for file, record in meta["files"].items():
        array = disk.read_array(folder, file, record)
        if disk.content_hash(array) != record["sha256"]:
            raise UserError(f"{folder / file}: its content is not what was built; {again}")
        findings.append(Verdict(file, "ok", f"{len(array):,} rows, content as built"))
    if meta["sha256"] != disk.set_hash(meta["files"]):
        raise UserError(f"{folder / 'meta.json'}: its sum does not fit its files; {again}")
    return [*findings, _against_catalogue(meta["sha256"], entry.known_sha256.get(resolution), resolution)]


def list_built() -> list[Built]:
    """Every built set in the cache, by name and resolution; a damaged one is listed with its problem."""
    root = paths.cache_root() / "data"
    found = []
    for folder in root.glob("[!.]*") if root.is_dir() else ():
        name, _, resolution = folder.name.rpartition("-")
        if not (name and resolution.isdigit() and folder.is_dir()):
            continue
        try:
            meta = disk.read_meta(folder)
            arrays = {file: disk.read_array(folder, file, one) for file, one in meta["files"].items()}
            train, test = (len(arrays[f"{split}.npy"]) for split in SPLITS)
            size = sum(file.stat().st_size for file in folder.iterdir())
            found.append(Built(name, int(resolution), folder, train, test, meta["sha256"], size))
        except UserError as error:
            found.append(Built(name, int(resolution), folder, problem=str(error)))
    return sorted(found, key=lambda one: (one.name, one.resolution))


def digests(name: str, resolution: int) -> dict[str, str] | None:
    """File -> content hash of a built set's arrays as they are on this machine; None where it is not built, or damaged.

    The sums of the build are believed while no array is newer than they are; one that is, is read and hashed.
    """
    folder = paths.cache_root() / "data" / f"{name}-{resolution}"
    try:
        meta = disk.read_meta(folder)
        return {file: disk.current_hash(folder, file, one) for file, one in meta["files"].items()}
    except UserError:
        return None


def _find(name: str, resolution: int) -> tuple[DatasetEntry, Path]:
    """The entry of a set and its folder; a set of the user's own may have another entry at each resolution."""
    known = datasets()
    entry, folder = known.load(name), _folder(name, resolution)
    if known.entry(name).target.startswith(own_sets.TARGET):
        entry = own_sets.entry_of(folder) or entry
    return entry, folder


def _ordered(
    name: str, resolution: int, source: Path | None, test_share: float | None, fit: str | None
) -> tuple[DatasetEntry, Path]:
    """The entry by which a set is to be built, and its folder."""
    known = datasets()
    own = name in known and known.entry(name).target.startswith(own_sets.TARGET)
    if source is None or (name in known and not own):
        return _find(name, resolution)
    others = [one.name for one in known if one.name != name]
    return own_sets.new_entry(name, others, test_share, fit), _folder(name, resolution)


def _folder(name: str, resolution: int) -> Path:
    low, high = RESOLUTIONS
    if not low <= resolution <= high:
        raise UserError(f"data set '{name}' at {resolution} px: the resolution must be {low} to {high}")
    return paths.cache_root() / "data" / f"{name}-{resolution}"


def _command(name: str, resolution: int, entry: DatasetEntry) -> str:
    return f"bench data build {name} --resolution {resolution}{'' if entry.embedded else ' --from DIR'}"


def _builder(name: str, entry: DatasetEntry) -> Callable[[Order], Splits]:
    module, _, function = entry.builder.partition(":")
    try:
        found: Callable[[Order], Splits] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise UserError(
            f"data set '{name}' needs the module '{error.name}', which is not installed; "
            "pip install 'lowdata-gan-bench[embedded]'"
        ) from error
    except AttributeError as error:
        raise UserError(f"data set '{name}': its builder '{entry.builder}' does not exist") from error
    return found


def _recipe(entry: DatasetEntry) -> dict[str, Any]:
    """What a built set depends on; a change of it makes the set stale."""
    return entry.model_dump(mode="json", include={"builder", "options", "train", "test"})


def _check(name: str, resolution: int, entry: DatasetEntry, splits: Splits) -> None:
    """Refuse what breaks the contract of a set, whoever wrote the builder."""
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
    shared = set(disk.image_digests(splits.train)) & set(disk.image_digests(splits.test))
    if shared and not splits.overlap:
        raise UserError(f"data set '{name}': {len(shared)} images stand both in train and in test")


def _arrays(splits: Splits) -> dict[str, np.ndarray]:
    arrays = {f"{split}.npy": getattr(splits, split) for split in SPLITS}
    labels = {f"{split}_labels.npy": getattr(splits, f"{split}_labels") for split in SPLITS}
    return arrays | {file: array.astype(np.int64) for file, array in labels.items() if array is not None}


def _meta(name: str, resolution: int, entry: DatasetEntry, splits: Splits) -> dict[str, Any]:
    versions = {package: version(package) for package in ("numpy", "pillow", *splits.packages)}
    return {
        "name": name,
        "resolution": resolution,
        "recipe": _recipe(entry),
        "class_names": list(splits.class_names),
        "licence": entry.licence,
        "source": entry.source,
        "packages": versions | {"bench": bench.__version__},
        "notes": splits.notes,
    }


def _open(name: str, resolution: int, entry: DatasetEntry, folder: Path) -> ImageSet:
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
    )


def _against_catalogue(found: str, known: str | None, resolution: int) -> Verdict:
    if known is None:
        return Verdict("whole set", "unknown", f"{found}; the catalogue has no sum for {resolution} px")
    if found == known:
        return Verdict("whole set", "ok", f"{found}, equal to the catalogue's")
    return Verdict("whole set", "differs", f"{found}, the catalogue's is {known}")
