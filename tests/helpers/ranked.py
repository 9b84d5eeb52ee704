"""Runs that several processes train together, or one: forked from the test's own, which has imported everything."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.run.execute import run_once
from bench.run.meeting import with_others
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder, Store

FORK = multiprocessing.get_context("fork")


def trained(
    spec: RunSpec,
    root: Path,
    ranks: int,
    before: Callable[[], Any] = lambda: None,
    stop_at: int | None = None,
) -> tuple[list[str], RunFolder]:
    """Train a run in the store at `root` on so many ranks; the ranks' outcomes, and the run's folder.

    before: what each process does first. stop_at: the first rank is asked to stop after so many steps.
    """
    importlib.import_module("torch._dynamo")  # which an optimiser imports, for seconds: here, not in each process
    store = Store(root)
    folder = store.open(spec)
    for source in spec.run_sources.values():
        store.open(source)
    address, outcomes = FORK.SimpleQueue(), FORK.SimpleQueue()

    def rank(number: int, where: list[str]) -> None:
        torch.set_num_threads(1)
        sys.stderr = (root / f"rank-{number}.log").open("a")
        before()
        steps = 0

        def on_step(step: int, _: int) -> None:
            nonlocal steps
            steps = step

        def work(joined: Any) -> Any:
            for source in spec.run_sources.values():
                if joined.leads:
                    assert run_once(source.uid, root) == "done"
            return run_once(spec.uid, root, "cpu", lambda: stop_at is not None and steps >= stop_at, on_step, joined)

        told = [] if ranks == 1 else [f"{number}/{ranks}", *where]
        outcomes.put((number, with_others(told, "cpu", address.put, work)))
        sys.stderr.flush()
        os._exit(0)

    processes = [FORK.Process(target=rank, args=(0, []))]
    processes[0].start()
    where = [address.get()] if ranks > 1 else []
    processes += [FORK.Process(target=rank, args=(number, where)) for number in range(1, ranks)]
    for process in processes[1:]:
        process.start()
    told = dict(outcomes.get() for _ in processes)
    for process in processes:
        process.join()
    return [told[number] for number in range(ranks)], folder


def apart(first: RunFolder, second: RunFolder) -> float:
    """The largest difference between what two runs have logged, relative where a value is above 1."""
    logs = [list(folder.read_log()) for folder in (first, second)]
    assert len(logs[0]) == len(logs[1]) > 0
    assert all(one.keys() == other.keys() for one, other in zip(*logs, strict=True))
    return max(
        abs(one[name] - other[name]) / max(1, abs(one[name])) for one, other in zip(*logs, strict=True) for name in one
    )
