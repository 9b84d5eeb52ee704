"""The best snapshot of a run: the one with the best value of the score by which its protocol selects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bench.features import canonical
from bench.metrics.measures import measure
from bench.spec.run import Protocol


def best_step(protocol: Protocol, lines: Iterable[Mapping[Any, Any]]) -> int | None:
    """The step of the best snapshot among a run's score lines, the earliest of equals; None without one.

    A score of which neither way is better picks none.
    """
    if protocol.selects is None or not (card := measure(protocol.selects.name)).ranks:
        return None
    selects = protocol.selects.name, canonical(protocol.selects.extractor)
    scores = [
        (card.loss(float(line["value"])), int(line["step"]))
        for line in lines
        if (line["metric"], line["extractor"]) == selects and math.isfinite(line["value"])
    ]
    return min(scores)[1] if scores else None
