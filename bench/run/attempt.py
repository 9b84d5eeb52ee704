"""Working one run off, whoever asks: the local queue, a cluster job, a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.errors import UserError
from bench.run.settings import Outcome, Settings
from bench.store.lease import RunBusyError, RunGoneError
from bench.store.runs import Store

AttemptOutcome = Outcome | Literal["busy"]


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


def run_once(
    uid: str,
    root: Path,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> AttemptOutcome:
    """Execute the run `uid` of the store at `root`; "busy" if another worker has it (nothing is waited for),
    "failed", which only the worker's log tells, if its folder has been moved away.

    $BENCH_CHECKPOINT_SECONDS sets how often it saves (60).
    """
    import torch

    from bench.run.execute import execute

    every = checkpoint_seconds()
    try:
        return execute(uid, Store(root), Settings(torch.device(device), every), should_stop, on_step)
    except RunBusyError:
        return "busy"
    except RunGoneError as error:
        print(f"bench: {error}", file=sys.stderr, flush=True)
        return "failed"
