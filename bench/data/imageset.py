"""Data sets by name, as memory maps; one that needs no files of the user's is built at first use."""

from __future__ import annotations

from bench.data import disk
from bench.data.building import build
from bench.data.built_set import SPLITS, ImageSet, build_command, find, open_set, recipe
from bench.errors import UserError


def load(name: str, resolution: int) -> ImageSet:
    """The data set, opened; an embedded one that is absent or of an older recipe is built first.

    Raises UserError for an unknown name, a set that needs the user's files, and a damaged folder. Sums are
    not recomputed here: that is what `verify` does.
    """
    entry, folder = find(name, resolution)
    stale = folder.is_dir() and disk.read_meta(folder)["recipe"] != recipe(entry)
    if folder.is_dir() and not stale:
        return open_set(name, resolution, entry, folder)
    if not entry.embedded:
        raise UserError(not_built(name, resolution))
    return build(name, resolution, force=stale)


def counts(name: str, resolution: int) -> tuple[int, int] | None:
    """How many training and test images a set has; None for a set of the user's that is not built.

    From its meta.json or, for an embedded set that is not built yet, from the catalogue.

    Raises UserError as `load` does for an unknown name, an impossible resolution and a damaged folder.
    """
    entry, folder = find(name, resolution)
    meta = disk.read_meta(folder) if folder.is_dir() else None
    if meta is None or meta["recipe"] != recipe(entry):
        return (entry.train, entry.test) if entry.embedded else None
    train, test = (meta["files"][f"{split}.npy"]["shape"][0] for split in SPLITS)
    return train, test


def not_built(name: str, resolution: int) -> str:
    """The message for a set of the user's that is not built, or was built by another recipe."""
    entry, folder = find(name, resolution)
    state = "was built by another recipe" if folder.is_dir() else "is not built"
    command = build_command(name, resolution, entry) + " --force" * folder.is_dir()
    return f"data set '{name}' at {resolution} px {state}; run `{command}`"
