"""The workers that train one run together, one process a device (`train.gpus`)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import UserError
from bench.launch.local.remote import node_of, on_its_node
from bench.launch.local.worker_handle import Worker
from bench.plan.schedule import PlannedRun

GRACE = 60.0  # seconds in which the others have to notice that one of them has ended


@dataclass
class Crew:
    """The workers of one run; the first leads it, and its outcome is the run's.

    broken: when one of them was lost; the others then end the run at its last checkpoint, or are killed after GRACE.
    """

    run: PlannedRun
    members: list[Worker]
    broken: float | None = None

    def begin(self) -> None:
        """Have the leader open a place to meet; it reports the address."""
        for member in self.members:
            member.run, member.crew, member.ordered = self.run, self, False
        self._order(0, "")

    def meet(self, address: str) -> None:
        """Send the others there."""
        for rank in range(1, len(self.members)):
            self._order(rank, f" {address}")

    def _order(self, rank: int, where: str) -> None:
        member = self.members[rank]
        if member.crew is self:
            member.ordered = True
            member.send(f"{self.run.uid} {rank}/{len(self.members)}{where}")

    def leads(self, worker: Worker) -> bool:
        """Whether the run's outcome is this worker's."""
        return worker is self.members[0]

    def breaks(self) -> bool:
        """A member was lost. Those that have not been sent to meet it are free; whether it is the first loss."""
        first, self.broken = self.broken is None, self.broken or time.monotonic()
        for member in self.members:
            if member.crew is self and not member.ordered:
                member.run = member.crew = None
        return first

    def end_overdue(self) -> None:
        """Kill what is left of a broken crew and has not noticed: it waits for a sum, or for one that never came."""
        if self.broken is not None and time.monotonic() - self.broken > GRACE:
            for member in self.members:
                if member.crew is self:
                    member.process.send_signal(signal.SIGKILL)


def crew_for(run: PlannedRun, first: Worker, workers: Iterable[Worker]) -> list[Worker] | None:
    """Idle workers for the run, `first` among them, each on a GPU of its own; None while there are too few.

    Those of its own node come first: sums between nodes are slower.
    """
    members = [first]
    idle = [worker for worker in workers if worker.run is None and worker is not first]
    for worker in sorted(idle, key=lambda worker: node_of(worker.device) != node_of(first.device)):
        taken = {member.device for member in members if on_its_node(member.device) != "cpu"}
        if len(members) < run.gpus and worker.device not in taken:
            members.append(worker)
    return members if len(members) >= run.gpus else None


def refuse_too_few(runs: Iterable[PlannedRun], devices: list[str]) -> None:
    """UserError for a run that is to be trained by more devices than there are."""
    cpus = [device for device in devices if on_its_node(device) == "cpu"]
    places = len(cpus) + len({*devices} - {*cpus})
    for run in runs:
        if run.gpus > places:
            raise UserError(
                f"{run.label}: train.gpus is {run.gpus}, and there {'is' if places == 1 else 'are'} {places} here; "
                "set fewer, or raise --jobs on a machine without a GPU"
            )
