"""The weights of the steps that a training is asked to keep (`protocol.keep`): kept-<step>.pt, from that step on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.files.weights import write_weights
from bench.store.layout import kept


def keep(folder: Path, step: int, weights: dict[str, Any]) -> None:
    """Write the weights of a step. A run that goes over it again, after it was killed, writes the same ones again."""
    write_weights(kept(folder, step), {"step": step, **weights}, inside=folder.parent)


def back_to(folder: Path, step: int) -> None:
    """Drop the kept steps after `step`, to which a run goes back."""
    for later in [one for one in steps(folder) if one > step]:
        kept(folder, later).unlink()


def steps(folder: Path) -> list[int]:
    """The kept steps in a folder, in order."""
    names = (re.fullmatch(r"kept-(\d{8})\.pt", path.name) for path in folder.glob("kept-*.pt"))
    return sorted(int(name[1]) for name in names if name)
