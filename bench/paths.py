"""Where things are kept: the run store, the cache of built data and features, and users' weights."""

from __future__ import annotations

import os
from pathlib import Path


def store_root() -> Path:
    """The folder of run folders: $BENCH_STORE, else the project file's, else results/runs under the current
    directory.
    """
    from bench.plan.project import project_file

    if named := os.environ.get("BENCH_STORE"):
        return Path(named)
    project = project_file()
    return (project.store if project else None) or Path("results") / "runs"


def cache_root() -> Path:
    """Built data sets and extracted features: $BENCH_CACHE, else ~/.cache/bench (or
    $XDG_CACHE_HOME/bench).
    """
    if named := os.environ.get("BENCH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bench"


def weights_root() -> Path:
    """Weights that the user supplies: $BENCH_WEIGHTS, else <cache>/weights."""
    if named := os.environ.get("BENCH_WEIGHTS"):
        return Path(named)
    return cache_root() / "weights"


def recorded_roots() -> list[Path]:
    """Where recorded sets are kept, in order: the folders of $BENCH_RECORDED (with `os.pathsep` between), else the
    project file's; last the one that ships. The first is where `bench record` writes.
    """
    from bench.plan.project import project_file

    named = [Path(one).expanduser() for one in os.environ.get("BENCH_RECORDED", "").split(os.pathsep) if one]
    if not named and (project := project_file()):
        named = project.recorded
    return list(dict.fromkeys([*(one.absolute() for one in named), recorded_root()]))


def recorded_root() -> Path:
    """The recorded results that ship with the project (results/recorded, also inside a wheel)."""
    here = Path(__file__).resolve().parent
    for candidate in (here / "results" / "recorded", here.parent / "results" / "recorded"):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError("results/recorded is missing from this installation")
