"""Whether a GPU's steps wait for it, and what each setting of speed gives: parts of `benchmarks.gpu`.

None of it has run on a GPU yet (docs/speed.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.checkpoints import fingerprint
from benchmarks.gpu_right import Late, Record, each, prepared, trained, with_train
from benchmarks.gpu_speed import RATES, rate

STEPS = 12
# What each setting is measured against is the default, the first
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "graphs": {"graphs": True},
    "compile": {"compile": True},
    "adam foreach": {"adam": "foreach"},
    "channels not last": {"channels_last": False},
}


def find_waits(specs: dict[str, RunSpec], device: torch.device, late: Late) -> Record:
    """Make steps in which torch raises whatever waits for the device, after three in which it may."""
    return each(specs, lambda name: _waits(specs[name], device), late)


def _waits(spec: RunSpec, device: torch.device) -> Record:
    with tempfile.TemporaryDirectory() as folder:
        store = prepared(spec, Path(folder))
        training = Training(spec, store.open(spec), store, Settings(device))
        steps = training.steps()
        try:
            for step in range(6):
                torch.cuda.set_sync_debug_mode("error" if step >= 3 else "default")
                training.ctx.begin_step(step)
                training.watch.see(step + 1, training.one_step(steps))
                training.ctx.step = step + 1
        finally:
            torch.cuda.set_sync_debug_mode("default")
            steps.close()  # type: ignore[attr-defined]  # it is a generator
    return {"ok": True}


def compare_graphs(specs: dict[str, RunSpec], device: torch.device, late: Late) -> Record:
    """Whether recorded steps end with the very weights of steps in Python with the same Adam."""
    return each(specs, lambda name: _graphs(specs[name], device), late)


def _graphs(spec: RunSpec, device: torch.device) -> Record:
    with tempfile.TemporaryDirectory() as folder:
        store = prepared(spec, Path(folder))
        ends = [
            trained(
                with_train(spec, steps=STEPS, adam="fused", graphs=graphs), Path(folder) / str(graphs), store, device
            )
            for graphs in (None, True)
        ]
    weights = [fingerprint([network.state_dict() for network in end.modules().values()]) for end in ends]
    return {"ok": weights[0] == weights[1], "bit_equal": weights[0] == weights[1]}


def measure_settings(names: Iterable[str], device: torch.device, seconds: float, least: int, late: Late) -> Record:
    """Our steps per second in float32 with each of `SETTINGS`."""
    items = {f"{name}, {setting}": (name, setting) for name in names for setting in SETTINGS}

    def measured(item: str) -> Record:
        name, setting = items[item]
        case = RATES[name]
        return rate(
            name, case._replace(train={**case.train, **SETTINGS[setting]}), "ours", "float32", device, seconds, least
        )

    return each(items, measured, late)
