"""What the runs of a recorded set took: the machine and the hours of each, kept beside the set's scores.

<set>/<table>-<scale>.made.json: {"schema": 1, "runs": uid -> {"machine", "seconds"}}. The CSV has what is the same
wherever a run is made; this is of the machine. A set without it (older ones, pictures from elsewhere) is as good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import atomic
from bench.store.reading import read_json
from bench.store.runs import Store

SUFFIX = ".made.json"
Making = dict[str, dict[str, Any]]  # by uid: "machine", in words, and "seconds"


def making_of(uids: Iterable[str], store: Store) -> Making:
    """The machine of the last start and the seconds of the training, of each of these runs that the store has."""
    found: Making = {}
    for uid in uids:
        folder = store.folder(uid)
        starts, result = folder.starts(), folder.result()
        seconds = float((result or {}).get("seconds", math.nan))
        if starts and math.isfinite(seconds):
            found[uid] = {"machine": machine_words(starts[-1]), "seconds": round(seconds, 1)}
    return found


def machine_words(start: dict[str, Any]) -> str:
    """The hardware that a run was started on: its device, and how many of it trained it together.

    Of a start of before devices were recorded the GPUs, else the processor with the threads that it computed with.
    """
    if device := start.get("device"):
        return f"{start['ranks']} x {device}" if start.get("ranks", 1) > 1 else str(device)
    if gpus := start.get("gpus"):
        return f"{len(gpus)} x {gpus[0]}" if len(gpus) > 1 else str(gpus[0])
    threads = start.get("threads")
    return str(start.get("cpu") or "unknown") + (f", {threads} thread{'s' if threads > 1 else ''}" if threads else "")


def save_making(path: Path, making: Making, uids: Iterable[str]) -> None:
    """Keep what runs took beside the CSV at `path`; uids: of all runs in it. What is known of the others stays."""
    before = read_making(path)
    runs = {uid: run for uid in sorted(set(uids)) if (run := making.get(uid) or before.get(uid))}
    if runs:
        atomic.write_json(_beside(path), {"schema": 1, "runs": runs})


def read_making(path: Path) -> Making:
    """What is kept beside the CSV at `path`; nothing where there is no such file. UserError for a malformed one."""
    value = read_json(_beside(path))
    if value is None:
        return {}
    runs = value.get("runs") if isinstance(value, dict) else None
    if not isinstance(runs, dict) or not all(_is_right(run) for run in runs.values()):
        raise UserError(f'{_beside(path)}: must be {{"schema": 1, "runs": uid -> {{"machine", "seconds"}}}}')
    return runs


def _is_right(run: Any) -> bool:
    if not isinstance(run, dict) or not isinstance(run.get("machine"), str):
        return False
    seconds = run.get("seconds")
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)


def _beside(path: Path) -> Path:
    return path.with_suffix(SUFFIX)
