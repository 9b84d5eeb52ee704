"""Where runs and recorded sets are kept: by the environment first, then by the project file."""

from __future__ import annotations

import os
from pathlib import Path

from bench.paths import recorded_root
from bench.plan.project import project_file


def store_root() -> Path:
    """The folder of run folders: $BENCH_STORE, else the project file's, else results/runs in the current folder."""
    if path := os.environ.get("BENCH_STORE"):
        return Path(path)
    project = project_file()
    return (project.store if project else None) or Path("results") / "runs"


def recorded_roots() -> list[Path]:
    """The folders of recorded sets, in the order of search; `bench record` writes to the first.

    They are those of $BENCH_RECORDED (separated by `os.pathsep`), else those of the project file, and last the one
    that ships.
    """
    folders = [Path(folder).expanduser() for folder in os.environ.get("BENCH_RECORDED", "").split(os.pathsep) if folder]
    if not folders and (project := project_file()):
        folders = project.recorded
    return list(dict.fromkeys([*(folder.absolute() for folder in folders), recorded_root()]))
