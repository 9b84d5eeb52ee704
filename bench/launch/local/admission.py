"""Whether a run fits into memory beside the runs that are at work already, and on a GPU that it shares with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bench.launch.local.gpu_load import GpuLoad
from bench.machine.gpus import visible_gpus
from bench.machine.memory import available_bytes, free_gpu_bytes, resident_bytes
from bench.plan.schedule import PlannedRun

Need = Callable[[PlannedRun], int | None]  # bytes; None if unknown


class AtWork(NamedTuple):
    """A run at work: its worker's process, if it has begun, and its device."""

    pid: int | None
    run: PlannedRun
    device: str = "cpu"


@dataclass(frozen=True)
class MemoryBudget:
    """Admits runs by this machine's memory; a run of unknown need is admitted, as a guess would slow the queue.

    measured_only: a run joins others on a GPU only if it is known of all of them how much memory they need and how long
    they let the card wait (--runs-per-gpu auto).
    """

    memory: Need = lambda run: None  # of the worker's process
    load: GpuLoad | None = None  # of a GPU
    measured_only: bool = False

    def fits(self, run: PlannedRun, device: str, others: list[AtWork]) -> bool:
        """Whether `run` may start on `device` beside others.

        The others may still grow to their own needs, and what they will take is not free. On a CPU a run always starts
        if there are no others. On a GPU it waits while other processes hold the memory that it needs.
        """
        if device.startswith("cuda") and not self._fits_gpu(run, device, others):
            return False
        need, free = self.memory(run), available_bytes()
        if need is None or free is None or not others:
            return True
        growth = sum(max(0, (self.memory(other.run) or 0) - _resident(other.pid)) for other in others)
        return need <= free - growth

    def _fits_gpu(self, run: PlannedRun, device: str, others: list[AtWork]) -> bool:
        if self.load is None:
            return True
        beside = [other.run for other in others if other.device == device]
        self.load.look(other.run for other in others)
        if self.measured_only and beside and not self._leaves_time(run, beside):
            return False
        need = self.load.of(run).memory
        free = free_gpu_bytes(visible_gpus()[int(device.partition(":")[2] or 0)].uuid) if need is not None else None
        if need is None or free is None:
            return not (self.measured_only and beside)
        return need <= free - sum(map(self.load.to_come, beside))

    def _leaves_time(self, run: PlannedRun, beside: list[PlannedRun]) -> bool:
        """Whether the card computes for all of them in less than all of the time: each lets it wait for the CPU."""
        assert self.load is not None
        shares = [self.load.of(one).busy for one in (run, *beside)]
        return None not in shares and sum(share for share in shares if share is not None) <= 1


def _resident(pid: int | None) -> int:
    """What a process has resident; 0 for one that is gone or still to come."""
    return 0 if pid is None else resident_bytes(pid) or 0
