"""Which runs share a job, and which jobs an array: by what they wait for, by what they need, by how long they take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.plan.runs import PlannedRun

SPREAD_SECONDS = 900.0  # what can run in parallel is not packed into fewer jobs than these, of so long each
HEADROOM = 1.2  # a job asks for a fifth more memory than its runs are known to take
Seconds = Callable[[PlannedRun], float | None]
Bytes = Callable[[PlannedRun], int | None]


@dataclass
class Array:
    """Jobs of one shape that wait for the same things: one sbatch call."""

    jobs: list[list[PlannedRun]]
    memory_mb: int | None  # per job; None leaves it to the profile
    level: int  # 0 for runs that need no other run of this submission
    parallel: int = 1
    after: set[int] = field(default_factory=set)  # positions of arrays that must have ended

    @property
    def runs(self) -> list[PlannedRun]:
        return [run for job in self.jobs for run in job]


def pack(
    runs: list[PlannedRun],
    *,
    seconds: Seconds,
    memory: Bytes,
    devices: int,
    target_seconds: float,
    memory_mb: int | None,
    largest_array: int,
    parallel: int,
) -> list[Array]:
    """Arrays in the order in which they are to be submitted: what others wait for comes first.

    devices: runs that a job works on at once. target_seconds: how much estimated work, per device, a job takes
    on, less where more jobs may run at once; a run of unknown length has a job of its own. memory_mb: what the
    profile gives a job. parallel: how many jobs of a level may run at once, shared out among its arrays. Raises
    UserError where parallel or largest_array is below 1.
    """
    if parallel < 1 or largest_array < 1:
        raise UserError(f"parallel={parallel} and an array of {largest_array} must both be 1 or more")
    levels = _levels(runs)
    wanted = {uid for run in runs for uid in run.needs}
    groups: dict[tuple[int, bool, int | None], list[PlannedRun]] = {}
    for run in runs:  # in the plan's order: whole replicates first
        shape = (levels[run.uid], run.uid not in wanted, _job_memory(memory(run), devices, memory_mb))
        groups.setdefault(shape, []).append(run)
    arrays: list[Array] = []
    for (level, _, megabytes), members in sorted(groups.items(), key=lambda item: item[0][:2]):
        share = sum(seconds(run) or 0.0 for run in members) / (devices * parallel)
        jobs = _fill(members, seconds, devices * min(target_seconds, max(share, SPREAD_SECONDS)))
        pieces = [jobs[start : start + largest_array] for start in range(0, len(jobs), largest_array)]
        arrays += [Array(piece, megabytes, level) for piece in pieces]
    _share_out(arrays, parallel)
    _wait_for_sources(arrays)
    return arrays


def _levels(runs: list[PlannedRun]) -> dict[str, int]:
    """How many runs of this list must follow each other before a run can start; a plan has sources first."""
    levels: dict[str, int] = {}
    for run in runs:
        levels[run.uid] = 1 + max((levels[uid] for uid in run.needs if uid in levels), default=-1)
    return levels


def _job_memory(need: int | None, devices: int, given_mb: int | None) -> int | None:
    """Megabytes for a job: the profile's, or more where its runs are known to need more."""
    if need is None or given_mb is None:
        return given_mb
    wanted = math.ceil(HEADROOM * devices * need / 1e6 / 1000) * 1000
    return max(given_mb, wanted)


def _fill(runs: list[PlannedRun], seconds: Seconds, capacity: float) -> list[list[PlannedRun]]:
    """Runs one after the other into jobs of `capacity` seconds."""
    jobs: list[list[PlannedRun]] = []
    room = 0.0
    for run in runs:
        length = seconds(run)
        if length is None or length > room:
            jobs.append([])
            room = capacity
        jobs[-1].append(run)
        room = 0.0 if length is None else room - length
    return jobs


def _share_out(arrays: list[Array], parallel: int) -> None:
    """Split the limit among the arrays of a level; with more arrays than the limit they queue up in lanes."""
    for level in {array.level for array in arrays}:
        members = [position for position, array in enumerate(arrays) if array.level == level]
        lanes = min(parallel, len(members))
        for number, position in enumerate(members):
            lane = number % lanes
            arrays[position].parallel = parallel // lanes + (lane < parallel % lanes)
            if number >= lanes:
                arrays[position].after.add(members[number - lanes])


def _wait_for_sources(arrays: list[Array]) -> None:
    home = {run.uid: position for position, array in enumerate(arrays) for run in array.runs}
    for position, array in enumerate(arrays):
        array.after |= {home[uid] for run in array.runs for uid in run.needs if uid in home} - {position}
