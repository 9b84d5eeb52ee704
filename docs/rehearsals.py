"""What `bench rehearse` has measured, as docs/reproduce/rehearsal.json keeps it, and the page that is made of it.

The file has a line for each configuration that was measured, under the digest of the configuration as it was then.
One whose settings have changed since keeps its numbers, and is marked in the page. Hours are of the steps that a
configuration has now, which are no part of the digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.rehearsal.configurations import RehearsalOutcome, Results
from bench.rehearsal.estimate import gpu_hours, page, record
from bench.rehearsal.listing import load_configurations

KEPT = Path(__file__).with_name("reproduce") / "rehearsal.json"
MEASURED = (
    "G, M", "D, M", "G, GMAC", "D, GMAC", "CPU, s", "CPU, GB", "GPU, GB", "TFLOP a step", "threads",
)  # fmt: skip
CHANGED = "**Measured before its settings changed: to be run again.**"


def read() -> dict[str, dict[str, Any]]:
    """The kept measurements by configuration."""
    return {row["configuration"]: row for row in json.loads(KEPT.read_text())}


def take_up(store: Path) -> int:
    """Keep what a store has measured of the configurations as they are now; returns how many."""
    kept, results = read(), Results(store)
    _, configurations = load_configurations()
    count = 0
    for one in configurations:
        if (measured := results.read(one)) is not None:
            row = record(RehearsalOutcome(one, measured))
            kept[one.id] = {key: row[key] for key in ("configuration", "digest", "steps", *MEASURED)}
            count += 1
    lines = [" " + json.dumps(kept[one.id]) for one in configurations if one.id in kept]
    KEPT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    return count


def records() -> Iterator[dict[str, Any]]:
    """Every configuration of the list, with its measurement where there is one."""
    kept = read()
    for one in load_configurations()[1]:
        row = record(RehearsalOutcome(one, None))
        if (measured := kept.get(one.id)) is not None:
            row |= {key: measured[key] for key in MEASURED}
            # Hours of the steps that it has now, of the operations that a step had when it was measured
            row["GPU hours"] = gpu_hours(one, 1e12 * measured["TFLOP a step"])
            if measured["digest"] != one.digest:
                row["note"] = f"{row['note']} {CHANGED}".strip()
        yield row


def text() -> str:
    """The page: a table of all configurations, and what each stands for."""
    images_from, _ = load_configurations()
    size = f"images of the true size ({images_from.name} at {images_from.resolution} px, enlarged)"
    return page(list(records()), size)
