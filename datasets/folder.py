"""A user's folder of pictures as a data set: every file checked, a deterministic split, one resize recipe.

Options of a catalogue entry: `crop: center` allows pictures of any shape (the centre square is taken),
without it all must be squares of one size; `fit: stretch` allows any shape too and resizes the whole picture to
the square, its proportions lost, as FastGAN's released code does (`fit: centre` is the default); `reference: all`
makes the whole class the reference, training images included.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from bench.errors import UserError
from bench.imagefiles import image_digests
from bench.imageset import Order, Splits
from bench.seeds import numpy_stream

from ._picture import SUFFIXES, Fit, decode, measure
from ._progress import progress

RECIPE = "transparent parts on white; {}; PIL Lanczos; no EXIF rotation"
SQUARE: dict[Fit, str] = {"centre": "centre square", "stretch": "the whole picture stretched to a square"}
WORKERS = 4  # PIL decodes outside the interpreter's lock
OPTIONS = {"crop": ("center",), "fit": tuple(SQUARE), "reference": ("all",)}


def build(order: Order) -> Splits:
    """Splits from `order.source`: its train/ and test/ as they are, else `entry.test` files drawn at random.

    Pictures are searched in subfolders too, sorted by name and shuffled; copies of a file count once.
    Raises UserError naming the file that is damaged, of another size, too small, or a link out of the folder,
    and naming the folder that holds too few.
    """
    _check_options(order)
    assert order.source is not None, "bench.imageset.build asks for a folder"
    root = order.source.resolve()
    if not root.is_dir():
        raise UserError(f"--from {order.source}: is not a folder")
    files = _files(root)
    _check_sizes(order, files)
    train_files, test_files = _split(order, root, files)
    whole_class = order.entry.options.get("reference") == "all"
    train = _read(order, "train", train_files)
    test = train if whole_class else _read(order, "test", test_files)
    if not whole_class:
        _check_disjoint(train, train_files, test, test_files)
    return Splits(
        train=train,
        test=test,
        licence_text=f"{order.entry.licence}\nSource: {order.entry.source}\nPictures read from {root}",
        overlap=whole_class,
        notes={
            "resize": RECIPE.format(SQUARE[_fit(order)]),
            "files found": len(files),
            "files used": len(train_files) + len(test_files),
        },
    )


def _check_options(order: Order) -> None:
    for key, value in order.entry.options.items():
        if value not in OPTIONS.get(key, ()):
            known = "; ".join(f"{name}: {' or '.join(values)}" for name, values in OPTIONS.items())
            raise UserError(f"data set '{order.name}': option {key}: {value} is unknown; known are {known}")
    if _fit(order) == "stretch" and "crop" in order.entry.options:
        raise UserError(
            f"data set '{order.name}': fit: stretch takes the whole picture and crop: center a part of it; "
            "leave one of them out"
        )


def _fit(order: Order) -> Fit:
    """How a picture that is no square becomes one; `_check_options` has seen the value."""
    fit: Fit = order.entry.options.get("fit", "centre")
    return fit


def _files(root: Path) -> list[Path]:
    """Every picture file below `root`, sorted by name; a link that leads out of it is refused."""
    found = []
    for folder, folders, names in os.walk(root, onerror=_cannot_list, followlinks=False):
        for name in (*folders, *names):
            path = Path(folder) / name
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                raise UserError(
                    f"{path}: a link to a folder or out of {root} is not followed; put the files there"
                )
        found += [Path(folder) / name for name in names if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _cannot_list(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed: {error.strerror}")


def _check_sizes(order: Order, files: Sequence[Path]) -> None:
    """One look at every header, before hours are spent on decoding."""
    expected: tuple[int, int] | None = None
    for path in progress(files, len(files), f"{order.name}, headers"):
        size = measure(path)
        if min(size) < order.resolution:
            raise UserError(f"{path}: {size[0]} x {size[1]} pixels are too few for {order.resolution} px")
        if order.entry.options.get("crop") == "center" or _fit(order) == "stretch":
            continue
        if size[0] != size[1]:
            raise UserError(f"{path}: {size[0]} x {size[1]} pixels are no square, as '{order.name}' needs")
        expected = expected or size
        if size != expected:
            raise UserError(
                f"{path}: {size[0]} x {size[1]} pixels, but {files[0]} has {expected[0]} x {expected[1]}; "
                f"'{order.name}' needs one size"
            )


def _split(order: Order, root: Path, files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The files of train and test; those of a `reference: all` set are all in train."""
    entry = order.entry
    if entry.options.get("reference") == "all":
        return _shuffled(_enough(root, _distinct(files), max(entry.train, entry.test))), []
    given = [split for split in ("train", "test") if (root / split).is_dir()]
    if len(given) == 1:
        raise UserError(f"{root}: has a folder {given[0]}/ but not the other of train/ and test/")
    if given:
        parts = [[file for file in files if file.is_relative_to(root / split)] for split in given]
        train, test = (_shuffled(_distinct(part)) for part in parts)
        return _enough(root / "train", train, entry.train), _enough(root / "test", test, entry.test)
    pool = _shuffled(_enough(root, _distinct(files), entry.train + entry.test))
    return pool[entry.test :], pool[: entry.test]


def _shuffled(files: Sequence[Path]) -> list[Path]:
    return [files[place] for place in numpy_stream(0, "folder", "split").permutation(len(files))]


def _enough(folder: Path, files: list[Path], needed: int) -> list[Path]:
    if len(files) < needed:
        raise UserError(f"{folder}: {len(files):,} different pictures found, {needed:,} are needed")
    return files


def _distinct(files: Sequence[Path]) -> list[Path]:
    """The files without later copies of the same bytes; only files of equal length are read for that."""
    sizes = {path: path.stat().st_size for path in files}
    shared = Counter(sizes.values())
    first: dict[bytes | Path, Path] = {}
    for path in files:
        first.setdefault(_file_digest(path) if shared[sizes[path]] > 1 else path, path)
    return list(first.values())


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def _read(order: Order, split: Literal["train", "test"], files: Sequence[Path]) -> np.ndarray:
    """Decode files into a split on disk, in the order given, a few at a time."""
    images = order.allocate(split, len(files))

    def fill(place: int) -> None:
        images[place] = decode(files[place], order.resolution, _fit(order))

    pool = ThreadPoolExecutor(WORKERS)
    try:
        for _ in progress(pool.map(fill, range(len(files))), len(files), f"{order.name}, {split}"):
            pass
    finally:
        pool.shutdown(cancel_futures=True)  # the first damaged file ends the build
    return images


def _check_disjoint(
    train: np.ndarray, train_files: Sequence[Path], test: np.ndarray, test_files: Sequence[Path]
) -> None:
    seen = dict(zip(image_digests(train), train_files, strict=True))
    for digest, path in zip(image_digests(test), test_files, strict=True):
        if digest in seen:
            raise UserError(f"{path}: is the same picture as the training image {seen[digest]}; remove one")
