"""Where this process runs: the cluster job that it belongs to, and the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def slurm_job() -> str | None:
    """The cluster job that this process belongs to, as squeue prints it (123_4 in an array); None outside."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def cpu_name() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def machine_name(device: str) -> str:
    """What a time was taken on: the GPU's name, or the processor's with the number of threads."""
    import torch  # here, as provenance and commands need this file without it

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    threads = torch.get_num_threads()
    return f"{cpu_name()}, {threads} thread{'s' if threads > 1 else ''}"
