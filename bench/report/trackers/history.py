"""What a run has to show to a tracker of experiments: its values by step, its pictures, its settings, where it is from.

Of a run that is not over only what lies before its newest checkpoint is taken: the rest would be computed again if the
run were interrupted now, and a tracker takes nothing back.
"""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.store.runs import RunFolder

Values = dict[str, float]
NOT_EXPORTED = ("diff",)  # of a start: the text of an edited checkout
STAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Moment:
    """All that belongs to one step. time: seconds since the epoch, estimated (`History.time_of`)."""

    step: int
    time: float
    values: Values
    picture: Path | None


@dataclass(frozen=True)
class History:
    """A run as a tracker sees it."""

    uid: str
    label: str
    config: dict[str, Any]  # the resolved spec, nested
    starts: list[dict[str, Any]]
    status: str
    moments: list[Moment]  # by step
    summary: dict[str, Any] | None  # once the run is over: steps, seconds, seconds a step, digests of the weights

    @property
    def begun(self) -> float:
        """When the run was first started: seconds since the epoch, 0 where that is not recorded."""
        return _seconds(self.starts[0]["time"]) if self.starts else 0.0


def history(folder: RunFolder, label: str) -> History:
    """Read a run's folder. Raises UserError for one whose records cannot be read."""
    result, saved = folder.result(), folder.saved_step()
    last = float("inf") if result is not None else saved or 0
    summary = None if result is None else _summary(result)
    # Losses, scores and what the run took, by step
    values: dict[int, Values] = {}
    for line in folder.read_log():
        values.setdefault(line["step"], {}).update(
            {f"train/{_word(name)}": value for name, value in line.items() if name != "step"}
        )
    for line in folder.metrics():
        if line["value"] is not None:
            values.setdefault(line["step"], {})[_score(line)] = line["value"]
    if summary and "seconds_per_step" in summary:
        values.setdefault(summary["steps"], {})["time/seconds_per_step"] = summary["seconds_per_step"]
    pictures = {int(path.stem.removeprefix("step-")): path for path in folder.sheets()}
    starts = [{key: value for key, value in start.items() if key not in NOT_EXPORTED} for start in folder.starts()]
    # When each step was: logs have no times
    pace = _pace(folder, result)
    begun = _seconds(starts[0]["time"]) if starts else 0.0
    moments = [
        Moment(step, begun + pace * step, values.get(step, {}), pictures.get(step))
        for step in sorted({*values, *pictures})
        if step <= last
    ]
    return History(
        folder.uid, label, folder.spec().model_dump(mode="json", exclude_none=True), starts, folder.status(), moments,
        summary,
    )  # fmt: skip


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: {"train.steps": 60, "method.0.name": "disp"}; lists by their positions."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(inner, Mapping):
            found |= flat({str(name): one for name, one in inner.items()}, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _summary(result: Mapping[str, Any]) -> dict[str, Any]:
    steps, seconds = result.get("steps"), result.get("seconds")
    pace = {"seconds_per_step": seconds / steps} if steps and seconds is not None else {}
    return {**{key: value for key, value in result.items() if key not in ("schema", "uid")}, **pace}


def _pace(folder: RunFolder, result: Mapping[str, Any] | None) -> float:
    """Seconds a step: of the whole run, else as it is at work; 0 where neither is known."""
    if result is not None:
        return float(result.get("seconds") or 0) / max(1, result.get("steps") or 1)
    rate = (folder.heartbeat() or {}).get("rate")
    return 1 / rate if rate else 0.0


def _score(line: Mapping[str, Any]) -> str:
    """The name of a score: its metric and extractor, and what it is against where that is not the test split."""
    split = line.get("reference_split", "test")
    parts = [line["metric"], line["extractor"], *([] if split == "test" else ["against", split])]
    return "score/" + "_".join(_word(part) for part in parts if part)


def _word(text: str) -> str:
    """A name of letters, digits and underscores alone: trackers sort and filter by no others."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")


def _seconds(stamp: str) -> float:
    return float(timegm(time.strptime(stamp, STAMP)))
