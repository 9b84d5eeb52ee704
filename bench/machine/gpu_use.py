"""What this process uses of its GPU: the memory that it has held at most, and how busy it keeps the card.

Nothing here imports torch or begins to use a GPU: where the process has not done so, there is nothing to tell.
"""

from __future__ import annotations

import sys
from typing import Any

from bench.machine import nvml

# Of CUDA's context and libraries, which torch does not count: 0.3 to 0.6 GB on recent cards and drivers (declared)
CONTEXT_BYTES = 600_000_000
_BUSY: list[float] = []  # of the run at work: a process has one at a time


def forget() -> None:
    """Give back what torch keeps for later and forget the peak so far, so that each run of a worker has its own."""
    if (cuda := _cuda_in_use()) is not None:
        cuda.empty_cache()
        _BUSY.clear()
        for index in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(index)


def gpu_figures() -> dict[str, float]:
    """`gpu_memory`: the most bytes since `forget`; `gpu_busy`: the mean share of time with a kernel at work.

    The mean is over the calls since `forget` at which no other process computed on the card, and left out without any.
    {} for a process that uses no GPU.
    """
    if (cuda := _cuda_in_use()) is None:
        return {}
    held = [int(cuda.max_memory_reserved(index)) for index in range(cuda.device_count())]
    index = max(range(len(held)), key=held.__getitem__)
    if not held[index]:
        return {}
    uuid = f"GPU-{getattr(cuda.get_device_properties(index), 'uuid', '')}"
    if nvml.processes(uuid) == 1 and (busy := nvml.busy_share(uuid)) is not None:
        _BUSY.append(busy)
    mean = {"gpu_busy": round(sum(_BUSY) / len(_BUSY), 3)} if _BUSY else {}
    return {"gpu_memory": held[index] + CONTEXT_BYTES, **mean}


def _cuda_in_use() -> Any:
    """torch.cuda, if this process has begun to use a GPU."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
