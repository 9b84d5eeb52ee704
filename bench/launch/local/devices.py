"""Which devices the workers of a queue have: the visible GPUs, else CPU slots; never a CPU where a GPU is meant."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field

from bench.errors import UserError, did_you_mean
from bench.machine.gpus import APPLE, ON_THE_CPU, VISIBLE, visible_gpus
from bench.machine.mps import mps_runs
from bench.machine.nvml import BrokenGpuError
from bench.machine.workers import usable_cores

VARIABLE = "BENCH_DEVICE"
KINDS = ("auto", "cpu", "cuda", "mps")
MOST_ASKED = 64
MOST = 8  # workers on a GPU, however little each needs (declared)
PerGpu = int | Literal["auto"]
PerGpuField = Annotated[int, Field(strict=True, ge=1, le=MOST_ASKED)] | Literal["auto"]  # in a profile


def slots(jobs: int | None, kind: str | None = None, per_gpu: PerGpu = 1) -> list[str]:
    """One device per worker: the visible GPUs, else CPU slots (`jobs` of them, default one per core).

    per_gpu: how many workers share a GPU, handed out card by card; "auto" is the most that may (admission decides how
    many do). kind: "cpu", "cuda", or "auto" for GPUs if there are any; default $BENCH_DEVICE, else "auto". Raises
    UserError for "mps", for "cuda" or shared GPUs without one, and for a GPU that is here or asked for and cannot be
    used.
    """
    kind = kind or os.environ.get(VARIABLE) or "auto"
    if kind not in KINDS:
        raise UserError(f"{VARIABLE}={kind}: {did_you_mean(kind, KINDS)}")
    if kind == "mps":
        raise UserError(f"device mps: {APPLE}")
    gpus = visible_gpus() if kind != "cpu" else ()
    if gpus:
        places = [f"cuda:{index}" for _ in range(most_per_gpu(per_gpu, len(gpus))) for index in range(len(gpus))]
        return places[: jobs or len(places)]
    if per_gpu != 1:
        raise UserError(f"--runs-per-gpu {per_gpu}: no GPU is used here; --jobs is how many runs a CPU has at once")
    if kind == "cuda":
        hidden = f" ({VISIBLE} hides all)" if VISIBLE in os.environ else ""
        raise BrokenGpuError(f"device cuda: no NVIDIA GPU can be seen here{hidden}; {ON_THE_CPU}")
    return ["cpu"] * (jobs or usable_cores())


def most_per_gpu(per_gpu: PerGpu, gpus: int, cores: int | None = None) -> int:
    """How many workers a GPU may have: for "auto" a core each, as it is the CPU that such runs wait for, and MOST."""
    if per_gpu != "auto":
        return per_gpu
    return max(1, min(MOST, (usable_cores() if cores is None else cores) // gpus))


def sharing_words(devices: list[str]) -> str | None:
    """What to say of workers that share GPUs; None if none do."""
    most = max((devices.count(device) for device in set(devices) if device.startswith("cuda")), default=1)
    if most < 2:
        return None
    how = "side by side by MPS" if mps_runs() else "taking turns: no MPS here (nvidia-cuda-mps-control -d starts it)"
    return f"up to {most} runs at once on each GPU, {how}"


def place_of(device: str) -> tuple[str, dict[str, str]]:
    """The device of a worker's process, and what its environment has to have for it.

    CUDA shows a process one MIG instance at most, so that a worker of one sees it alone.
    """
    if not device.startswith("cuda"):
        return device, {}
    gpu = visible_gpus()[int(device.partition(":")[2] or 0)]
    return (device, {}) if gpu.instance is None else ("cuda:0", {VISIBLE: str(gpu.uuid)})
