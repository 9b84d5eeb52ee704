"""Where runs and recorded sets are kept: the environment's word first, then the project file's."""

from __future__ import annotations

import os
from pathlib import Path

from bench.paths import recorded_root
from bench.plan.project import project_file


def store_root() -> Path:
    """The folder of run folders: $BENCH_STORE, else the project file's, else results/runs under the current
    directory.
    """
    if named := os.environ.get("BENCH_STORE"):
        return Path(named)
    project = project_file()
    return (project.store if project else None) or Path("results") / "runs"


def recorded_roots() -> list[Path]:
    """Where recorded sets are kept, in order: the folders of $BENCH_RECORDED (with `os.pathsep` between), else the
    project file's; last the one that ships. The first is where `bench record` writes.
    """
    named = [Path(one).expanduser() for one in os.environ.get("BENCH_RECORDED", "").split(os.pathsep) if one]
    if not named and (project := project_file()):
        named = project.recorded
    return list(dict.fromkeys([*(one.absolute() for one in named), recorded_root()]))
