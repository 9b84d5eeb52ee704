"""Whether two cards that train a run together (`train.gpus`) get what one gets: a part of `benchmarks.gpu`.

The only part that uses nccl. It needs two cards; on a CPU two processes rehearse it with gloo.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bench.conformance.checks import conformance_spec
from bench.launch.local.queue import Queue
from bench.plan.schedule import PlannedRun
from bench.spec.run import RunSpec
from bench.store.runs import Store
from benchmarks.gpu_right import ALL, FIRST, LOSSES, Late, Record, each

# Batch norm in G, in both, and the minibatch deviation without any
METHODS = {
    "sngan-32": "diffaugment + baseline",
    "fastgan-64": "sle + ae-d(loss=l1)",
    "stylegan2-32": "ada-lite + r1(every=2)",
}


class _Quiet:
    """A queue's watcher that shows nothing but what the queue says."""

    def started(self, run: PlannedRun) -> None:
        """Shows nothing."""

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        """Shows nothing."""

    def ended(self, run: PlannedRun, outcome: str) -> None:
        """Shows nothing."""

    def said(self, text: str) -> None:
        """Print it."""
        print(f"    {text}", flush=True)

    def tick(self) -> None:
        """Shows nothing."""


def compare_cards(device: torch.device, late: Late) -> Record:
    """Three steps of a network of each kind on one card and on two; `not_run` where there is one card alone."""
    cards = torch.cuda.device_count() if device.type == "cuda" else 2
    if cards < 2:
        return {"not_run": "there is one card here", "backend": None}
    places = [f"cuda:{number}" for number in range(2)] if device.type == "cuda" else ["cpu", "cpu"]

    def compare(network: str) -> Record:
        with tempfile.TemporaryDirectory() as folder:
            one, _ = _logged(_spec(network, 1), Path(folder) / "one", places[:1])
            two, seconds = _logged(_spec(network, 2), Path(folder) / "two", places)
        first, most = _apart(one[:1], two[:1]), _apart(one, two)
        return {"ok": first <= FIRST and most <= ALL, "first": first, "all": most, "seconds": seconds}

    backend = "nccl" if device.type == "cuda" else "gloo"
    return {"compared": LOSSES, "backend": backend, **each(METHODS, compare, late)}


def _spec(network: str, gpus: int) -> RunSpec:
    spec = conformance_spec(METHODS[network], network)
    assert spec.train is not None
    train = {"steps": 3, "batch": 8, "g_lr": 3e-6, "d_lr": 3e-6, "adam_eps": 1e-2, "gpus": gpus}
    return spec.model_copy(update={"train": spec.train.model_copy(update=train)})


def _logged(spec: RunSpec, root: Path, places: list[str]) -> tuple[list[dict[str, Any]], float]:
    """What a run logs that workers of its own train, and the seconds that all of it took."""
    store, begun = Store(root), time.monotonic()
    outcomes = Queue(store, [PlannedRun(spec)], places, _Quiet()).work()
    folder = store.folder(spec.uid)
    if outcomes != {spec.uid: "done"}:
        raise RuntimeError(f"{outcomes}: {folder.error()}")
    return list(folder.read_log()), round(time.monotonic() - begun, 1)


def _apart(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> float:
    pairs = [(mine[name], theirs[name]) for mine, theirs in zip(one, two, strict=True) for name in mine]
    return max(abs(a - b) / max(abs(a), abs(b), 0.01) for a, b in pairs)
