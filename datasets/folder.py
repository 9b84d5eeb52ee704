"""A user's folder of pictures as a data set: every file accounted for, a deterministic split, one resize recipe.

Without options all pictures must be squares of one size. Options of a catalogue entry:

crop: center       any shape; the centre square is taken
fit: stretch       any shape; the whole picture is resized to a square, its proportions lost, as FastGAN's released
                   code does (the default is `fit: centre`)
reference: all     the whole class is the reference, training images included
test_share: 0.2    this share is the test split; the entry's counts are only the least
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from bench.data.builder import Order, Split, Splits
from bench.data.disk import image_digests
from bench.data.picture import BadPictureError, Fit, decode
from bench.data.picture_pile import Pile, look_through, refuse_bad
from bench.errors import UserError
from bench.files.memory_map import ROWS, release, rows
from bench.machine.long_work import progress
from bench.seeds import numpy_stream

RECIPE = "EXIF orientation applied; transparent parts on white; {}; PIL Lanczos"
SQUARE: dict[Fit, str] = {"centre": "centre square", "stretch": "the whole picture stretched to a square"}
WORKERS = 4  # PIL decodes outside the interpreter's lock
OPTIONS = {"crop": ("center",), "fit": tuple(SQUARE), "reference": ("all",)}


def build(order: Order) -> Splits:
    """Splits from `order.source`: its train/ and test/ as they are, else test files drawn at random.

    Pictures are searched in subfolders too, by their content, sorted by name and shuffled; copies of a file count
    once. Files that are left out are counted. Raises UserError naming all files that are damaged, too small or of
    another size (unless `order.skip_bad`), a link out of the folder, and a folder that holds too few.
    """
    # Look through the folder.
    _check_options(order)
    assert order.source is not None, "bench.data.building.build asks for a folder"
    root = order.source.resolve()
    if not root.is_dir():
        raise UserError(f"--from {order.source}: is not a folder")
    pile = look_through(root, order.name)
    _drop_beside(order, pile)
    _check_sizes(order, pile)

    # Decode every picture that may be used; only then is it known which are damaged.
    decoded, place = _decode(order, pile, _parts(order, pile))
    if not order.skip_bad:
        refuse_bad(pile, "--skip-bad leaves them out", f"for '{order.name}'")

    # Divide them into splits.
    train_files, test_files = _split(order, pile, _parts(order, pile))
    whole_class = order.entry.options.get("reference") == "all"
    train = _rows(order, "train", decoded, [place[file] for file in train_files])
    test = train if whole_class else _rows(order, "test", decoded, [place[file] for file in test_files])
    if not whole_class:
        _check_disjoint(train, train_files, test, test_files)

    # Account for every file.
    used = len(train_files) + len(test_files)
    pile.animated = sum(pile.pictures[file].animated for file in (*train_files, *test_files))
    if copies := len(pile.pictures) - used:
        pile.left_out["copies of another"] += copies
    return Splits(
        train=train,
        test=test,
        licence_text=f"{order.entry.licence}\nSource: {order.entry.source}\nPictures read from {root}",
        overlap=whole_class,
        notes={
            "resize": RECIPE.format(SQUARE[_fit(order)]),
            "files found": used + sum(pile.left_out.values()) + len(pile.bad),
            "files used": used,
            "left out": pile.told(),
            "bad": pile.bad_lines(),
        },
    )


def _check_options(order: Order) -> None:
    for key, value in order.entry.options.items():
        if key == "test_share":
            if not 0 < float(value) < 1:
                raise UserError(f"data set '{order.name}': test_share is {value}, must lie between 0 and 1")
        elif value not in OPTIONS.get(key, ()):
            options = "; ".join(f"{name}: {' or '.join(values)}" for name, values in OPTIONS.items())
            raise UserError(f"data set '{order.name}': option {key}: {value} is unknown; known are {options}")
    if _fit(order) == "stretch" and "crop" in order.entry.options:
        raise UserError(
            f"data set '{order.name}': fit: stretch takes the whole picture and crop: center a part of it; "
            "leave one of them out"
        )


def _fit(order: Order) -> Fit:
    """How a picture that is not square is made so; `_check_options` has checked the value."""
    fit: Fit = order.entry.options.get("fit", "centre")
    return fit


def _check_sizes(order: Order, pile: Pile) -> None:
    """Reject pictures of a size that the set cannot use, before hours are spent on decoding."""
    any_shape = order.entry.options.get("crop") == "center" or _fit(order) == "stretch"
    squares = Counter(picture.width for picture in pile.pictures.values() if picture.width == picture.height)
    usual = squares.most_common(1)[0][0] if squares else None  # the first of the most frequent widths
    for path, header in list(pile.pictures.items()):
        if min(header.width, header.height) < order.resolution:
            pile.reject(path, f"{header.text} are too few for {order.resolution} px")
        elif not any_shape and header.width != header.height:
            pile.reject(path, f"{header.text} are no square, as '{order.name}' needs")
        elif not any_shape and header.width != usual:
            pile.reject(path, f"{header.text}, but most have {usual} x {usual}; '{order.name}' needs one size")


def _parts(order: Order, pile: Pile) -> dict[str, list[Path]]:
    """The different files of the folders train/ and test/, or of the whole folder under ""."""
    root, files = pile.root, list(pile.pictures)
    splits = [split for split in ("train", "test") if (root / split).is_dir()]
    if order.entry.options.get("reference") == "all" or not splits:
        return {"": _distinct(files)}
    if len(splits) == 1:
        raise UserError(f"{root}: has a folder {splits[0]}/ but not the other of train/ and test/")
    parts = {split: [file for file in files if file.is_relative_to(root / split)] for split in splits}
    return {split: _distinct(part) for split, part in parts.items()}


def _drop_beside(order: Order, pile: Pile) -> None:
    """Where there are train/ and test/, pictures beside them belong to neither."""
    if order.entry.options.get("reference") == "all" or not (pile.root / "train").is_dir():
        return
    for file in [*pile.pictures, *pile.bad]:
        if file.relative_to(pile.root).parts[0] not in ("train", "test"):
            pile.pictures.pop(file, None)
            pile.bad.pop(file, None)
            pile.left_out["beside train/ and test/"] += 1


def _split(order: Order, pile: Pile, parts: dict[str, list[Path]]) -> tuple[list[Path], list[Path]]:
    """The files of train and test; those of a `reference: all` set are all in train."""
    entry, root = order.entry, pile.root
    if "" not in parts:
        train, test = (_shuffled(parts[split]) for split in ("train", "test"))
        return _enough(root / "train", train, entry.train), _enough(root / "test", test, entry.test)
    if entry.options.get("reference") == "all":
        return _shuffled(_enough(root, parts[""], max(entry.train, entry.test))), []
    pool = _shuffled(_enough(root, parts[""], entry.train + entry.test))
    share = entry.options.get("test_share")
    tested = entry.test if share is None else min(max(round(share * len(pool)), entry.test), len(pool) - entry.train)
    return pool[tested:], pool[:tested]


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


def _decode(order: Order, pile: Pile, parts: dict[str, list[Path]]) -> tuple[np.ndarray, dict[Path, int]]:
    """An array on disk of every decoded picture, and each file's row in it; undecodable files are rejected.

    All are decoded before any is refused, so that one message can name all bad files.
    """
    files = [file for part in parts.values() for file in part]
    images = order.allocate("decoded", len(files))

    def fill(place: int) -> str | None:
        try:
            images[place] = decode(files[place], order.resolution, _fit(order))
        except BadPictureError as error:
            return str(error)
        return None

    pool = ThreadPoolExecutor(WORKERS)
    try:
        reasons = list(progress(pool.map(fill, range(len(files))), len(files), f"{order.name}, pictures"))
    finally:
        pool.shutdown(cancel_futures=True)
    for file, reason in zip(files, reasons, strict=True):
        if reason is not None:
            pile.reject(file, reason)
    return images, {file: place for place, file in enumerate(files)}


def _rows(order: Order, split: Split, decoded: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """A split on disk, of decoded pictures in this order."""
    images = order.allocate(split, len(places))
    for start in range(0, len(places), ROWS):
        images[start : start + ROWS] = rows(decoded, np.asarray(places[start : start + ROWS], np.int64))
        release(images)
    return images


def _check_disjoint(
    train: np.ndarray, train_files: Sequence[Path], test: np.ndarray, test_files: Sequence[Path]
) -> None:
    seen = dict(zip(image_digests(train), train_files, strict=True))
    for digest, path in zip(image_digests(test), test_files, strict=True):
        if digest in seen:
            raise UserError(f"{path}: is the same picture as the training image {seen[digest]}; remove one")
