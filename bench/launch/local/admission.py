"""Whether a run fits into memory beside the runs that are at work already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.machine.gpus import visible_gpus
from bench.machine.memory import available_bytes, free_gpu_bytes, resident_bytes
from bench.plan.schedule import PlannedRun

Need = Callable[[PlannedRun], int | None]  # bytes; None if unknown


@dataclass(frozen=True)
class MemoryBudget:
    """Admits runs by this machine's memory; a run of unknown need is admitted, as a guess would slow the queue."""

    memory: Need = lambda run: None  # of the worker's process
    gpu_memory: Need = lambda run: None

    def fits(self, run: PlannedRun, device: str, others: list[tuple[int | None, PlannedRun]]) -> bool:
        """Whether `run` may start on `device` beside `others`, pairs of a worker's process id, if any, and its run.

        The others may still grow to their own needs, and what they will take is not free. On a CPU a run always starts
        if there are no others. On a GPU it waits while other processes hold the memory that it needs.
        """
        if device.startswith("cuda") and not self._fits_gpu(run, int(device.partition(":")[2] or 0)):
            return False
        need, free = self.memory(run), available_bytes()
        if need is None or free is None or not others:
            return True
        growth = sum(max(0, (self.memory(other) or 0) - _resident(pid)) for pid, other in others)
        return need <= free - growth

    def _fits_gpu(self, run: PlannedRun, index: int) -> bool:
        need = self.gpu_memory(run)
        free = free_gpu_bytes(visible_gpus()[index].uuid) if need is not None else None
        return need is None or free is None or need <= free


def _resident(pid: int | None) -> int:
    """What a process has resident; 0 for one that is gone or still to come."""
    return 0 if pid is None else resident_bytes(pid) or 0
