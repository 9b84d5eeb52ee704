"""Steps a second and memory of paper-size networks on a device, ours beside a plain loop: a part of `benchmarks.gpu`.

Both loops make whole training steps of the same equations (benchmarks.steps). Times are of the host's clock, between
two waits for the device. They are over at least 16 steps, so that the lazy regularisers of StyleGAN2 have their share.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import plain_networks as plains
from benchmarks.gpu_right import Late, Record, each
from benchmarks.steps import CASES, FASTGAN, SIDES, Case, Precision

LAZY = "r1(every=16) + path-length"
RATES = {
    "sngan-32": Case(16, "unconditional", plains.sngan_32_g, plains.sngan_32_d, 128),
    "sngan-64": Case(25, "unconditional", plains.sngan_64_g, plains.sngan_64_d, 128),
    "sngan-128": CASES["sngan-128"]._replace(batch=25),
    # L1 in place of LPIPS, whose weights need not be there
    "fastgan-256": CASES["fastgan-256"]._replace(method=FASTGAN.replace("ae-d", "ae-d(loss=l1)")),
    "stylegan2-256": Case(16, LAZY, None, None, 512, "non-saturating"),
    "biggan-32": CASES["biggan-32"]._replace(batch=64),
}
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16")


def measure_rates(names: list[str], device: torch.device, seconds: float, least: int, late: Late) -> Record:
    """Steps per second of each network, side and precision, over `seconds` and whole rounds of `least` steps."""
    items = {
        f"{name}, {precision}, {side}": (name, side, precision)
        for precision in PRECISIONS
        for name in names
        for side in SIDES
        if side == "ours" or RATES[name].generator is not None
    }

    def measured(item: str) -> Record:
        name, side, precision = items[item]
        return rate(name, RATES[name], side, precision, device, seconds, least)

    return each(items, measured, late)


def rate(
    name: str, case: Case, side: str, precision: Precision, device: torch.device, seconds: float, least: int
) -> Record:
    """Steps per second of one network and side."""
    # Warm up, then measure whole rounds until the time is over
    with tempfile.TemporaryDirectory() as folder:
        loop = SIDES[side](name, case, Path(folder), device, precision)
        started = time.perf_counter()
        parameters = _run(loop, max(1, least // 4), device)
        warm = time.perf_counter() - started
        _forget_peak(device)
        steps, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            _run(loop, least, device)
            steps += least
        peak = _peak(device)
    # Free the networks, or the next item would count their memory
    loop.close()  # type: ignore[attr-defined]
    del loop
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return {
        "ok": True, "batch": case.batch, "method": case.method, "steps_per_second": steps / spent,
        "images_per_second": case.batch * steps / spent, "peak_gb": peak, "steps": steps, "warm_up_s": warm,
        "parameters": parameters,
    }  # fmt: skip


def _run(loop: Iterator[int], steps: int, device: torch.device) -> int:
    """Make `steps` steps and wait for the device; returns the number of parameters of both networks."""
    parameters = 0
    for _ in range(steps):
        parameters = next(loop)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return parameters


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float | None:
    """The most memory of tensors in GB; None on a CPU, for which benchmarks.steps measures processes."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None


def summary(rates: dict[str, Any]) -> list[str]:
    """A line for each network and precision: our rate, the plain loop's, their ratio, and memory."""
    lines = []
    for key, ours in rates.items():
        if not key.endswith(", ours") or "steps_per_second" not in ours:
            continue
        plain = rates.get(key.replace(", ours", ", plain"), {})
        line = f"{key.removesuffix(', ours'):28} {ours['steps_per_second']:8.2f} steps/s"
        line += f" {ours['images_per_second']:8.0f} images/s"
        if ours["peak_gb"] is not None:
            line += f" {ours['peak_gb']:6.2f} GB"
        if "steps_per_second" in plain:
            line += f"; plain {plain['steps_per_second']:8.2f} steps/s, ours is"
            line += f" {ours['steps_per_second'] / plain['steps_per_second']:.2f} times as fast"
            if plain["peak_gb"] is not None:
                line += f"; plain {plain['peak_gb']:.2f} GB"
        lines.append(line)
    return lines
