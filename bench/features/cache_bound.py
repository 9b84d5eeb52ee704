"""How much of a disk the cache of features may take: what was not used for longest goes, and that is said.

Features of the test split serve for ever, those of a run's own training images for as long as anybody asks for them:
which those are, nobody can know, so the time of the last use decides.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UserError
from bench.paths import cache_root

VARIABLE = "BENCH_FEATURES_GB"
USUAL = 50.0  # GB; of a smaller disk half
ABANDONED = 24 * 3600  # seconds after which a file that is half written belongs to a process that was killed


def features_folder() -> Path:
    """Where features are kept."""
    return cache_root() / "features"


def bound() -> int:
    """The most that all features may take, in bytes. UserError for a variable that is no number."""
    if not (named := os.environ.get(VARIABLE)):
        place = next(place for place in (features_folder(), *features_folder().parents) if place.exists())
        return int(min(USUAL * 1e9, shutil.disk_usage(place).total / 2))
    with contextlib.suppress(ValueError):
        if math.isfinite(size := float(named)) and size >= 0:
            return int(size * 1e9)
    raise UserError(f"{VARIABLE}={named}: is no number of gigabytes")


def taken() -> tuple[int, int]:
    """How many files there are, and their bytes."""
    sizes = [size for _, size, _ in _files()]
    return len(sizes), sum(sizes)


def used(path: Path) -> None:
    """Note that a file has been read, so that others go first."""
    with contextlib.suppress(OSError):  # a cache that is read only, or a file that has just gone
        os.utime(path)


def make_room(size: int) -> bool:
    """Remove the files that were not used for longest, until one of this size may be added. False if it never may."""
    if size > (most := bound()):
        return False
    files = sorted(_files())
    excess = sum(size for _, size, _ in files) + size - most
    gone = freed = 0
    for when, its_size, path in files:
        if excess > freed or (path.suffix == ".tmp" and time.time() - when > ABANDONED):
            with contextlib.suppress(FileNotFoundError):  # another process makes room too
                path.unlink()
            gone, freed = gone + 1, freed + its_size
    if gone:
        print(
            f"removed {gone:,} files of features that were not used for longest ({freed / 1e9:,.2f} GB) from "
            f"{features_folder()}: it may take {most / 1e9:,.2f} GB ({VARIABLE})",
            file=sys.stderr,
        )
    return True


def _files() -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, size and path of each file, also of those that are being written."""
    try:
        with os.scandir(features_folder()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_file(follow_symlinks=False):
                        yield status.st_mtime, status.st_size, Path(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return
