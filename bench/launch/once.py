"""Working one run off, whoever asks: the local queue, a cluster job, a test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.store import RunBusyError, Store

Outcome = Literal["done", "diverged", "stopped", "failed", "busy"]


def run_once(
    uid: str,
    root: Path,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Outcome:
    """Execute the run `uid` of the store at `root`; "busy" if another worker has it (nothing is waited for).

    $BENCH_CHECKPOINT_SECONDS sets how often it saves (60).
    """
    import torch

    from bench.train.run import Settings, execute

    every = float(os.environ.get("BENCH_CHECKPOINT_SECONDS") or 60)
    try:
        return execute(uid, Store(root), Settings(torch.device(device), every), should_stop, on_step)
    except RunBusyError:
        return "busy"
