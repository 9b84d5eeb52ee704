"""Measures what the harness adds to a bare training loop, and how long a smoke run takes to set up."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench.plan.load import load_table
from bench.run.build import build_context
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.runs import Store
from bench.train.adversarial import adversarial
from bench.train.ema import update_ema
from bench.train.optimizers import Optimizers

ROUNDS, STEPS = 6, 100  # rounds of both loops; training steps of a loop

SETUP = """
import sys, time
start = time.perf_counter()
from pathlib import Path
import torch
torch.set_num_threads(1)
from bench.plan.load import load_table
from bench.store.runs import Store
from bench.run.settings import Settings
from bench.run.training import Training
table = load_table("table1")
spec = table.run_spec(table.pick_rows(["scratch+disp"])[0], table.pick_columns(["faces"])[0], 0, "smoke")
store = Store(Path(sys.argv[1]))
Training(spec, store.open(spec), store, Settings(torch.device("cpu")))
print(time.perf_counter() - start)
"""


def unscored(scale: str) -> RunSpec:
    """The DISP run of a scale with STEPS steps and no snapshots, so that only the loop is measured."""
    table = load_table("table1", {"train.steps": STEPS})
    spec = table.run_spec(table.pick_rows(["scratch+disp"])[0], table.pick_columns(["faces"])[0], 0, scale)
    return spec.model_copy(update={"protocol": None})


def bare_seconds(spec: RunSpec, store: Store) -> list[float]:
    """CPU seconds of each step in a plain loop with the same step, data and moving average."""
    ctx, method = build_context(spec, store, torch.device("cpu"))
    steps = adversarial(ctx, method, Optimizers.build(ctx))
    assert spec.train is not None and ctx.ema is not None and ctx.generator is not None
    times = []
    for step in range(spec.train.steps):
        start = time.thread_time()
        ctx.begin_step(step)
        next(steps)
        update_ema(ctx.ema, ctx.generator, spec.train.ema_decay, step + 1, ramp=spec.train.ema_ramp)
        times.append(time.thread_time() - start)
    return times


def harness_seconds(spec: RunSpec, store: Store) -> list[float]:
    """CPU seconds of each step in the engine, with its logs, heartbeat and stop flag."""
    times: list[float] = []
    folder = store.open(spec)
    last = time.thread_time()

    def on_step(step: int, steps: int) -> None:
        nonlocal last
        times.append(time.thread_time() - last)
        last = time.thread_time()

    training = Training(spec, folder, store, Settings(torch.device("cpu")))
    last = time.thread_time()
    training.run(lambda: False, on_step)
    return times


def main() -> None:
    """Print the overhead and the time of a set-up, beside their targets.

    The times are CPU times of the training thread. Both loops run in turn, and the lowest of the rounds' medians
    counts, because other work of the machine can only add to them.
    """
    torch.set_num_threads(1)
    for scale in ("smoke", "mini"):
        spec, bare, ours = unscored(scale), [], []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                bare.append(np.median(bare_seconds(spec, Store(Path(folder)))))
                ours.append(np.median(harness_seconds(spec, Store(Path(folder)))))
        overhead = min(ours) / min(bare) - 1
        print(f"harness overhead at {scale} ({min(bare) * 1e3:.1f} ms a step): {100 * overhead:+.2f} %   (target 3 %)")
    # Set-up in a fresh process, imports included
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the first fills the cache (data set, priors)
            done = subprocess.run(
                [sys.executable, "-c", SETUP, folder],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ},
            )
    print(f"set-up of a smoke run (imports, data, networks): {float(done.stdout):.2f} s   (target 4 s)")


if __name__ == "__main__":
    main()
