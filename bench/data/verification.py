"""Checks of built sets: their sums recomputed, the list of those in the cache, the digests that runs record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench import paths
from bench.data import disk
from bench.data.counting import not_built
from bench.data.known import datasets
from bench.data.meta import build_again, read_meta, set_hash
from bench.data.places import SPLITS, find
from bench.errors import UserError


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


def verify(name: str, resolution: int) -> list[Verdict]:
    """Recompute the sums of a built set.

    Raises UserError naming the file whose content differs from what meta.json recorded. Whether the set
    equals the one the project built (the catalogue's known_sha256) is a verdict, not an error: other package
    versions or another processor may round a pixel differently.
    """
    entry, folder = find(name, resolution)
    if not folder.is_dir():
        raise UserError(not_built(name, resolution))
    return _verify(folder, entry.known_sha256.get(resolution), resolution)


def verify_all() -> Iterator[tuple[str, list[Verdict] | UserError]]:
    """Every built set in the cache as NAME-RESOLUTION, with its verdicts, or with what is wrong with it.

    One that no catalogue, plug-in or package knows is verified too, but for the catalogue's sum.
    """
    known = datasets()
    for built in list_built():
        expected = known.load(built.name).known_sha256 if built.name in known else {}
        try:
            yield built.path.name, _verify(built.path, expected.get(built.resolution), built.resolution)
        except UserError as error:
            yield built.path.name, error


def _verify(folder: Path, expected: str | None, resolution: int) -> list[Verdict]:
    meta = read_meta(folder)
    again = build_again(folder)
    verdicts = []
    for file, record in meta["files"].items():
        array = disk.read_array(folder, file, record)
        if disk.content_hash(array) != record["sha256"]:
            raise UserError(f"{folder / file}: its content is not what was built; {again}")
        verdicts.append(Verdict(file, "ok", f"{len(array):,} rows, content as built"))
    if meta["sha256"] != set_hash(meta["files"]):
        raise UserError(f"{folder / 'meta.json'}: its sum does not fit its files; {again}")
    return [*verdicts, _against_catalogue(meta["sha256"], expected, resolution)]


def list_built() -> list[Built]:
    """Every built set in the cache, by name and resolution; a damaged one is listed with its problem."""
    root = paths.cache_root() / "data"
    built = []
    for folder in root.glob("[!.]*") if root.is_dir() else ():
        name, _, resolution = folder.name.rpartition("-")
        if not (name and resolution.isdecimal() and folder.is_dir()):
            continue
        try:
            meta = read_meta(folder)
            arrays = {file: disk.read_array(folder, file, record) for file, record in meta["files"].items()}
            train, test = (len(arrays[f"{split}.npy"]) for split in SPLITS)
            size = sum(file.stat().st_size for file in folder.iterdir())
            built.append(Built(name, int(resolution), folder, train, test, meta["sha256"], size))
        except UserError as error:
            built.append(Built(name, int(resolution), folder, problem=str(error)))
    return sorted(built, key=lambda built_set: (built_set.name, built_set.resolution))


def _against_catalogue(sum_here: str, expected: str | None, resolution: int) -> Verdict:
    if expected is None:
        return Verdict("whole set", "unknown", f"{sum_here}; the catalogue has no sum for {resolution} px")
    if sum_here == expected:
        return Verdict("whole set", "ok", f"{sum_here}, equal to the catalogue's")
    return Verdict("whole set", "differs", f"{sum_here}, the catalogue's is {expected}")
