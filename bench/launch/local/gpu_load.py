"""How much of a GPU runs take, by kind: measured on stored runs, and on those at work once their heartbeats tell."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.plan.estimate import Estimates
from bench.plan.kinds import Kind
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

LOOK_SECONDS = 5.0  # between two looks at the heartbeats of the runs at work, which are as old


class Load(NamedTuple):
    """Bytes of the card's memory at most, and the share of time in which the card computes; None if unknown."""

    memory: int | None = None
    busy: float | None = None


@dataclass
class GpuLoad:
    """What runs take of a card."""

    store: Store
    estimates: Estimates
    seen: dict[Kind, Load] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # by uid: what a run at work has taken so far
    looked: float = field(default=-LOOK_SECONDS, init=False)

    def of(self, run: PlannedRun) -> Load:
        """The figures of stored runs of the same kind, else of one at work, else the table's memory."""
        seen = self.seen.get(self.estimates.kind_of(run), Load())
        memory, busy = self.estimates.gpu_memory(run, measured=True), self.estimates.gpu_busy(run)
        memory = memory or seen.memory or self.estimates.gpu_memory(run)
        return Load(memory, seen.busy if busy is None else busy)

    def to_come(self, run: PlannedRun) -> int:
        """The bytes that a run at work will still take: all of its need until its heartbeat tells what it has."""
        return max(0, (self.of(run).memory or 0) - self.held.get(run.uid, 0))

    def look(self, at_work: Iterable[PlannedRun]) -> None:
        """Learn from the heartbeats of the runs at work."""
        if time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        for run in at_work:
            beat = self.store.folder(run.uid).heartbeat() or {}
            # One that has only begun has not yet taken what it needs; its busy share comes with its first steps
            if beat.get("gpu_memory") and beat.get("step"):
                self.held[run.uid] = beat["gpu_memory"]
                old = self.seen.get(own := self.estimates.kind_of(run), Load())
                self.seen[own] = Load(max(old.memory or 0, beat["gpu_memory"]), beat.get("gpu_busy", old.busy))
