"""Where a data set stands in the cache, by which command it is built, and what its arrays depend on.

Nothing here opens an array, so that a plan costs no numpy.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Any

from bench import paths
from bench.data import own_sets
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.data.meta import read_meta
from bench.errors import UserError

SPLITS = ("train", "test")
RESOLUTIONS = (8, 1024)  # least and largest, in pixels


def find(name: str, resolution: int) -> tuple[DatasetEntry, Path]:
    """The entry of a set and its folder; a set of the user's own may have another entry at each resolution.

    UserError for an unknown name and an impossible resolution.
    """
    known = datasets()
    folder = folder_of(name, resolution)
    if name not in known and re.fullmatch(own_sets.NAME, name) and folder.is_dir():
        read_meta(folder)  # of a set of the user's own it is the only record
        raise UserError(
            f"data set '{name}' is built here, but defined by no file that is loaded; add its --plugin FILE.py"
        )
    entry = known.load(name)
    if known.entry(name).target.startswith(own_sets.TARGET):
        entry = own_sets.entry_of(folder) or entry
    return entry, folder


def folder_of(name: str, resolution: int) -> Path:
    """The folder of a built set. UserError for a resolution that no set can have."""
    low, high = RESOLUTIONS
    if not low <= resolution <= high:
        raise UserError(f"data set '{name}' at {resolution} px: the resolution must be {low} to {high}")
    return paths.cache_root() / "data" / f"{name}-{resolution}"


def built_sizes(name: str) -> list[int]:
    """The resolutions at which a set has a folder, in pixels."""
    root = paths.cache_root() / "data"
    ends = (folder.name.removeprefix(f"{name}-") for folder in root.glob(f"{glob.escape(name)}-*") if folder.is_dir())
    return sorted(int(end) for end in ends if end.isdecimal())


def cannot_write(folder: Path, error: OSError) -> UserError:
    """What to tell a user whose cache refuses a file."""
    return UserError(f"{folder}: cannot be written: {error.strerror or error}; BENCH_CACHE names another place")


def build_command(name: str, resolution: int, entry: DatasetEntry) -> str:
    """The command that builds a set."""
    return f"bench data build {name} --resolution {resolution}{'' if entry.embedded else ' --from DIR'}"


def recipe(entry: DatasetEntry) -> dict[str, Any]:
    """What a built set depends on; a change of it makes the set stale.

    The layout is not part of it: how a release arranges the pictures does not change what they are.
    """
    return entry.model_dump(mode="json", include={"builder", "options", "train", "test"})
