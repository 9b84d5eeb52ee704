"""What a training step costs: seconds, memory and parameters, measured on steps that are really made."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.evaluate.material import Steps
from bench.machine.heap import give_back_freed_memory
from bench.machine.memory import peak_bytes, reset_peak, resident_bytes


@dataclass(frozen=True)
class StepCost:
    """seconds: of a step, the mean of each round. peak_bytes: None where the system does not tell. parameters: G, D."""

    seconds: tuple[float, ...]
    peak_bytes: int | None
    parameters: tuple[int, int]

    @property
    def mean(self) -> float:
        """Seconds of a step, the mean over the rounds."""
        return statistics.fmean(self.seconds)

    @property
    def spread(self) -> float | None:
        """The standard deviation over the rounds; None for one."""
        return statistics.stdev(self.seconds) if len(self.seconds) > 1 else None


def step_cost(
    begin: Callable[[int], Steps],
    device: str,
    *,
    steps: int,
    rounds: int,
    pause: Callable[[], None] = lambda: None,
) -> StepCost:
    """The cost of the first steps of a training that `begin` begins, of a number of steps.

    One step is made before the clock runs: allocations and the choice of algorithms are in it. Then `rounds` rounds of
    `steps` steps are timed, one after the other. The memory is the most that building and steps have had at one time:
    on a GPU of its allocator, on a CPU of this process beyond what it held before. What a first step loads for good
    (libraries) is no part of it: a training is built and makes one step before.
    """
    cuda = torch.device(device) if device.startswith("cuda") else None
    _first_step(begin)
    pause()
    before = _forget_peak(cuda)
    # The untimed step, then the rounds
    loop, seconds = begin(1 + rounds * steps), []
    try:
        loop.make(0)
        for first in range(1, 1 + rounds * steps, steps):
            pause()
            _wait(cuda)
            started = time.perf_counter()
            for number in range(first, first + steps):
                loop.make(number)
            _wait(cuda)
            seconds.append((time.perf_counter() - started) / steps)
    finally:
        loop.close()
    # What it took
    peak = torch.cuda.max_memory_allocated(cuda) if cuda is not None else peak_bytes()
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in loop.ctx.networks()]
    return StepCost(tuple(seconds), None if peak is None else max(0, peak - before), (sizes[0], sizes[1]))


def _first_step(begin: Callable[[int], Steps]) -> None:
    loop = begin(1)
    try:
        loop.make(0)
    finally:
        loop.close()


def _forget_peak(cuda: torch.device | None) -> int:
    """Begin to look for the peak of memory; gives the bytes in use now.

    What earlier work has left is given back before, so that it neither hides nor adds to the peak.
    """
    gc.collect()
    if cuda is not None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(cuda)
        return torch.cuda.memory_allocated(cuda)
    give_back_freed_memory()
    reset_peak()
    return resident_bytes(os.getpid()) or 0


def _wait(cuda: torch.device | None) -> None:
    """Let a GPU finish what it was given, so that the clock sees it."""
    if cuda is not None:
        torch.cuda.synchronize(cuda)
