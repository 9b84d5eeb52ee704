"""Where things are kept: the cache of built data and features, users' weights, the recorded sets that ship."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent  # bench/
IMPORT_ROOT = PACKAGE.parent  # the folder that holds it: a checkout, or site-packages


def cache_root() -> Path:
    """Built data sets and extracted features: $BENCH_CACHE, else ~/.cache/bench (or $XDG_CACHE_HOME/bench)."""
    if named := os.environ.get("BENCH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bench"


def weights_root() -> Path:
    """Weights that the user supplies: $BENCH_WEIGHTS, else <cache>/weights."""
    if named := os.environ.get("BENCH_WEIGHTS"):
        return Path(named)
    return cache_root() / "weights"


def recorded_root() -> Path:
    """The recorded results that ship with the project (results/recorded, also inside a wheel)."""
    return shipped("results/recorded")


def shipped(folder: str) -> Path:
    """A folder of the project, which is beside bench/ in a checkout and inside it in a wheel."""
    for candidate in (PACKAGE / folder, IMPORT_ROOT / folder):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{folder} is missing from this installation")
