"""How many images a data set has, and what to say of one that is not built; no array is opened."""

from __future__ import annotations

from typing import Literal

from bench.data.meta import read_meta
from bench.data.places import SPLITS, build_command, built_sizes, find, recipe


def counts(name: str, resolution: int) -> tuple[int, int] | None:
    """How many training and test images a set has; None for a set of the user's that is not built.

    From its meta.json or, for an embedded set that is not built yet, from the catalogue.

    Raises UserError as `load` does for an unknown name, an impossible resolution and a damaged folder.
    """
    entry, folder = find(name, resolution)
    if not is_built(name, resolution):
        return (entry.train, entry.test) if entry.embedded else None
    files = read_meta(folder)["files"]
    train, test = (files[f"{split}.npy"]["shape"][0] for split in SPLITS)
    return train, test


def is_built(name: str, resolution: int) -> bool:
    """Whether a set is built, by today's recipe. UserError as of `counts`."""
    entry, folder = find(name, resolution)
    return bool(folder.is_dir() and read_meta(folder)["recipe"] == recipe(entry))


def has(what: Literal["labels", "attributes"], name: str, resolution: int) -> bool | None:
    """Whether a set has class labels, or attributes; None where it is not built, so that nobody has looked."""
    _, folder = find(name, resolution)
    return f"train_{what}.npy" in read_meta(folder)["files"] if folder.is_dir() else None


def attribute_names(name: str, resolution: int) -> tuple[str, ...] | None:
    """The names of a set's attributes, () of one without; None where it is not built, so that nobody has looked."""
    _, folder = find(name, resolution)
    return tuple(read_meta(folder).get("attribute_names", ())) if folder.is_dir() else None


def not_built(name: str, resolution: int) -> str:
    """The message for a set that is not built, or was built by another recipe."""
    entry, folder = find(name, resolution)
    state = "was built by another recipe" if folder.is_dir() else "is not built"
    command = build_command(name, resolution, entry) + " --force" * folder.is_dir()
    others = ", ".join(str(size) for size in built_sizes(name) if size != resolution)
    elsewhere = f" (it is built at {others} px)" if others else ""
    return f"data set '{name}' at {resolution} px {state}; run `{command}`{elsewhere}"
