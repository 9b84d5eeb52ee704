"""The weights of the best snapshot: best.pt of a finished run is the snapshot that its report prints.

While a run trains, every snapshot that was the best when it was scored is kept as best-<step>.pt, as far back as the
oldest checkpoint needs. So a resumed run finds the best of the steps before its checkpoint, not one of the steps that
were lost.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.weights import read_weights, write_weights
from bench.store.layout import BEST


def keep(folder: Path, step: int, weights: dict[str, Any]) -> None:
    """Write the weights of the best snapshot so far, with its step."""
    write_weights(_path(folder, step), {"step": step, **weights}, inside=folder.parent)


def back_to(folder: Path, step: int) -> None:
    """Drop the best snapshots of steps after `step`, to which a run goes back.

    A best.pt was written by a run that was killed while it ended: it becomes best-<step>.pt again.
    """
    ended = folder / BEST
    if ended.exists():
        try:
            ended.replace(_path(folder, int(read_weights(ended)["step"])))
        except UserError as error:
            print(f"bench: {error}; removed", file=sys.stderr)
            ended.unlink()
    for best in _steps(folder):
        if best > step:
            _path(folder, best).unlink()


def prune(folder: Path, oldest: int) -> None:
    """Drop the best snapshots that a run would not need even if it went back to the checkpoint of step `oldest`."""
    for step in [step for step in _steps(folder) if step <= oldest][:-1]:
        _path(folder, step).unlink()


def settle(folder: Path, best: int | None) -> None:
    """At the end of a run: its best snapshot's weights become best.pt, all others go."""
    for step in _steps(folder):
        if step == best:
            _path(folder, step).replace(folder / BEST)
        else:
            _path(folder, step).unlink()
    if best is not None and not (folder / BEST).exists():
        print(
            f"bench: {folder}: the weights of the best snapshot, step {best}, were not kept by the version "
            f"that trained it; there is no {BEST}",
            file=sys.stderr,
        )


def _path(folder: Path, step: int) -> Path:
    return folder / f"best-{step:08d}.pt"


def _steps(folder: Path) -> list[int]:
    """The steps of the best snapshots in a folder, in order."""
    names = (re.fullmatch(r"best-(\d{8})\.pt", path.name) for path in folder.glob("best-*.pt"))
    return sorted(int(name[1]) for name in names if name)
