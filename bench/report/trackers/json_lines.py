"""A run as JSON lines in the words of wandb and trackio: `_step`, `_timestamp`, `_runtime`, names of metrics.

<folder>/<uid>/history.jsonl   a record of the run, a line a step, and when the run is over a summary
               media/images/   the pictures that lines name, as wandb keeps them

The first line has `_type: "run"`, the last of a run that is over `_type: "summary"`; all between have `_step`.
The file itself says how far the export has come: what is there and still true stays, the rest is appended.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.files import atomic
from bench.files.png_head import png_size
from bench.report.trackers.history import History, Moment

NAME = "history.jsonl"
PICTURES = Path("media") / "images"
PROJECT = "lowdata-gan-bench"
ESTIMATED = ("_timestamp", "_runtime")  # what a later look may know better: no reason to write a line again
Record = dict[str, Any]


def export(run: History, folder: Path) -> int:
    """Bring <folder>/<uid>/history.jsonl up to date with a run; returns how many steps were added.

    A line is written once. Where the run has gone back behind what was exported, and has gone on otherwise, the file is
    written anew, in one step. Raises OSError.
    """
    place = folder / run.uid
    path = place / NAME
    there, whole = _read(path)
    wanted = [_head(run), *(_line(run, moment, place) for moment in run.moments)]
    wanted += [{"_type": "summary", **_plain(run.summary), "provenance": run.starts}] if run.summary else []
    kept = _same(there, wanted)
    if kept == len(there) and whole:
        if new := wanted[kept:]:
            place.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(_text(new))
    else:
        atomic.write_text(path, _text([*there[:kept], *wanted[kept:]]))
    return sum("_step" in record for record in wanted[kept:])


def _head(run: History) -> Record:
    return {
        "_type": "run", "project": PROJECT, "name": run.label, "id": run.uid, "config": _plain(run.config),
        "_timestamp": run.begun, "provenance": run.starts[:1],
    }  # fmt: skip


def _line(run: History, moment: Moment, place: Path) -> Record:
    values = {name: _plain(value) for name, value in moment.values.items()}
    picture = {"samples": _kept(moment.picture, moment.step, place)} if moment.picture is not None else {}
    times = {"_timestamp": moment.time, "_runtime": moment.time - run.begun}
    return {"_step": moment.step, **times, **values, **picture}


def _kept(picture: Path, step: int, place: Path) -> Record:
    """wandb's record of a picture, whose file is put beside the lines."""
    data = picture.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    path = PICTURES / f"samples_{step}_{digest[:20]}.png"
    if not (place / path).exists():
        atomic.write_bytes(place / path, data)
    width, height = png_size(data)
    return {
        "_type": "image-file", "path": path.as_posix(), "sha256": digest, "size": len(data), "format": "png",
        "width": width, "height": height,
    }  # fmt: skip


def _same(there: list[Record], wanted: list[Record]) -> int:
    """How many records at the beginning of the file are still true: a head of the same run, equal lines."""
    count = 0
    for old, new in zip(there, wanted, strict=False):
        fits = old.get("id") == new.get("id") if count == 0 else _known(old) == _known(new)
        if not fits:
            break
        count += 1
    return count


def _known(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in ESTIMATED}


def _read(path: Path) -> tuple[list[Record], bool]:
    """The records of a file up to the first that is none, and whether that is all of it."""
    if not path.exists():
        return [], True
    text = path.read_text(encoding="utf-8", errors="replace")
    records: list[Record] = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            return records, False
        if not isinstance(record, dict):
            return records, False
        records.append(record)
    return records, text.endswith("\n") or not text


def _text(records: Iterable[Record]) -> str:
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)


def _plain(value: Any) -> Any:
    """The value with numbers that JSON lacks as wandb writes them: "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
