"""Whether a run fits into memory beside the runs that are at work already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.launch.local.worker_handle import visible_gpus
from bench.machine.memory import available_bytes, free_gpu_bytes, resident_bytes
from bench.plan.runs import PlannedRun

Need = Callable[[PlannedRun], int | None]  # bytes; None: nobody knows


@dataclass(frozen=True)
class MemoryBudget:
    """The memory of this machine. A run whose need is unknown is let in: a guess would only slow the queue."""

    memory: Need = lambda run: None  # of the worker's process
    gpu_memory: Need = lambda run: None

    def fits(self, run: PlannedRun, device: str, others: list[tuple[int, PlannedRun]]) -> bool:
        """Whether `run` may start on `device` beside `others`, pairs of a worker's process id and its run.

        What is free now is not all free: the others will grow to their own needs. On a CPU a lone run always
        starts; a GPU that strangers use is waited for.
        """
        if device.startswith("cuda") and not self._fits_gpu(run, int(device.partition(":")[2] or 0)):
            return False
        need, free = self.memory(run), available_bytes()
        if need is None or free is None or not others:
            return True
        growth = sum(max(0, (self.memory(one) or 0) - (resident_bytes(pid) or 0)) for pid, one in others)
        return need <= free - growth

    def _fits_gpu(self, run: PlannedRun, index: int) -> bool:
        need = self.gpu_memory(run)
        free = free_gpu_bytes(visible_gpus()[index]) if need is not None else None
        return need is None or free is None or need <= free
