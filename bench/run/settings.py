"""The settings with which a worker executes a run, and the outcomes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.errors import UserError
from bench.machine.ranks import ALONE, Ranks

if TYPE_CHECKING:
    import torch

Outcome = Literal["done", "diverged", "stopped", "failed", "cancelled", "stale"]
AttemptOutcome = Outcome | Literal["busy"]


@dataclass(frozen=True)
class Settings:
    """The worker's settings; none of them can change a result.

    ranks: the processes that train the run together, of which this is one.
    """

    device: torch.device
    checkpoint_seconds: float = 60.0
    ranks: Ranks = ALONE


def checkpoint_seconds() -> float:
    """How often a run saves: $BENCH_CHECKPOINT_SECONDS, else 60. Raises UserError if that is no number."""
    text = os.environ.get("BENCH_CHECKPOINT_SECONDS") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise UserError(f"BENCH_CHECKPOINT_SECONDS={text} must be a number of seconds, 0 or more")
    return seconds
