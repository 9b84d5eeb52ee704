"""The weights of the best snapshot: best.pt of a run that has ended is the snapshot that its report prints.

While a run trains, every snapshot that was the best when it was scored is kept as best-<step>.pt, as far back
as the oldest checkpoint may need: a resumed run finds the best of the steps before its checkpoint, not one of
a future that was lost.
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
    """What a run that goes back to `step` may know: bests of later steps are dropped.

    A best.pt is of a run that was killed while it ended.
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
    """Drop what not even a run that goes back to the checkpoint of step `oldest` would need."""
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
    """The steps of the bests kept here, in order."""
    names = (re.fullmatch(r"best-(\d{8})\.pt", path.name) for path in folder.glob("best-*.pt"))
    return sorted(int(name[1]) for name in names if name)
