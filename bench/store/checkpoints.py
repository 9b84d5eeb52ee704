"""Checkpoints: atomic, checked, the newest two kept, read without executing anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.weights import fingerprint, read_weights, write_weights
from bench.store.layout import checkpoint, checkpoints

__all__ = ["drop_all", "fingerprint", "fingerprint_of_weights", "latest", "read_weights", "save", "write_weights"]

KEEP = 2  # a damaged newest checkpoint leaves one to fall back to


def save(folder: Path, step: int, state: dict[str, Any]) -> int:
    """Write the checkpoint of a step, drop all but the newest two, and return the step of the oldest one left.

    On OSError (a full disk) the older checkpoints stay whole.
    """
    write_weights(checkpoint(folder, step), state, inside=folder.parent)
    newest_first = checkpoints(folder)
    for old in list(newest_first.values())[KEEP:]:
        old.unlink()
    return min(list(newest_first)[:KEEP])


def latest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """(step, state) of the newest whole checkpoint; warns on stderr when a newer one is damaged."""
    newest_first = checkpoints(folder)
    for position, (step, path) in enumerate(newest_first.items(), start=1):
        try:
            return step, read_weights(path)
        except UserError as error:
            last = position == len(newest_first)
            instead = "the start: no other is left" if last else "the checkpoint before it"
            print(f"bench: {error}; falling back to {instead}", file=sys.stderr)
    return None


def fingerprint_of_weights(state: dict[str, Any]) -> str:
    """The fingerprint that a run records of final.pt or best.pt: of all that is in it but the step."""
    return fingerprint({name: value for name, value in state.items() if name != "step"})


def drop_all(folder: Path) -> None:
    """Remove the step checkpoints of a finished run; final.pt and best.pt stay."""
    for path in checkpoints(folder).values():
        path.unlink()
