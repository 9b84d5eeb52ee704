"""Which devices the workers of a queue have: the visible GPUs, else CPU slots; never a CPU where a GPU is meant."""

from __future__ import annotations

import os

from bench.errors import UserError, did_you_mean
from bench.machine.gpus import APPLE, ON_THE_CPU, VISIBLE, visible_gpus
from bench.machine.nvml import BrokenGpuError
from bench.machine.workers import usable_cores

VARIABLE = "BENCH_DEVICE"
KINDS = ("auto", "cpu", "cuda", "mps")


def slots(jobs: int | None, kind: str | None = None) -> list[str]:
    """One device per worker: the visible GPUs, else CPU slots (`jobs` of them, default one per core).

    kind: "cpu", "cuda", or "auto" for GPUs if there are any; default $BENCH_DEVICE, else "auto". Raises UserError for
    "mps", for "cuda" without a GPU, and for a GPU that is here or asked for and cannot be used.
    """
    kind = kind or os.environ.get(VARIABLE) or "auto"
    if kind not in KINDS:
        raise UserError(f"{VARIABLE}={kind}: {did_you_mean(kind, KINDS)}")
    if kind == "mps":
        raise UserError(f"device mps: {APPLE}")
    gpus = visible_gpus() if kind != "cpu" else ()
    if gpus:
        return [f"cuda:{index}" for index in range(min(len(gpus), jobs or len(gpus)))]
    if kind == "cuda":
        hidden = f" ({VISIBLE} hides all)" if VISIBLE in os.environ else ""
        raise BrokenGpuError(f"device cuda: no NVIDIA GPU can be seen here{hidden}; {ON_THE_CPU}")
    return ["cpu"] * (jobs or usable_cores())


def place_of(device: str) -> tuple[str, dict[str, str]]:
    """The device of a worker's process, and what its environment has to have for it.

    CUDA shows a process one MIG instance at most, so that a worker of one sees it alone.
    """
    if not device.startswith("cuda"):
        return device, {}
    gpu = visible_gpus()[int(device.partition(":")[2] or 0)]
    return (device, {}) if gpu.instance is None else ("cuda:0", {VISIBLE: str(gpu.uuid)})
