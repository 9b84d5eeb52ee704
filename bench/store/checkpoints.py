"""Checkpoints: atomic, checked, the newest two kept, read without executing anything."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.weights import fingerprint, read_weights, write_weights

__all__ = ["drop_all", "fingerprint", "latest", "read_weights", "save", "write_weights"]

KEEP = 2


def save(folder: Path, step: int, state: dict[str, Any]) -> int:
    """Write step-<step>.pt and drop all but the newest two; returns the step of the oldest that is left.

    OSError (a full disk) leaves the older ones whole.
    """
    write_weights(folder / f"step-{step:08d}.pt", state, inside=folder.parent)
    found = _newest_first(folder)
    for old in found[KEEP:]:
        old.unlink()
    return _step(found[:KEEP][-1])


def latest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """(step, state) of the newest whole checkpoint; says on stderr when a newer one is damaged."""
    found = _newest_first(folder)
    for position, path in enumerate(found, start=1):
        try:
            return _step(path), read_weights(path)
        except UserError as error:
            instead = "the checkpoint before it" if position < len(found) else "the start: no other is left"
            print(f"bench: {error}; falling back to {instead}", file=sys.stderr)
    return None


def drop_all(folder: Path) -> None:
    """Remove the step checkpoints of a finished run; final.pt and best.pt stay."""
    for path in _newest_first(folder):
        path.unlink()


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _newest_first(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*.pt") if re.fullmatch(r"step-\d{8}", path.stem)]
    return sorted(found, reverse=True)
