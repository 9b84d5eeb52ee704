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
    if path := os.environ.get("BENCH_STORE"):
        return Path(path)
    project = project_file()
    return (project.store if project else None) or Path("results") / "runs"


def recorded_roots() -> list[Path]:
    """Where recorded sets are kept, in order: the folders of $BENCH_RECORDED (with `os.pathsep` between), else the
    project file's; last the one that ships. The first is where `bench record` writes.
    """
    folders = [
        Path(folder).expanduser()
        for folder in os.environ.get("BENCH_RECORDED", "").split(os.pathsep)
        if folder
    ]
    if not folders and (project := project_file()):
        folders = project.recorded
    return list(dict.fromkeys([*(folder.absolute() for folder in folders), recorded_root()]))
