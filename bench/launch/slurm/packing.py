"""Packs runs into jobs and jobs into arrays, by their sources, their memory and their length."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.errors import UserError
from bench.plan.schedule import PlannedRun

# Runs share a job up to this length even where more jobs could run in parallel (15 minutes: declared)
SPREAD_SECONDS = 900.0
HEADROOM = 1.2  # a job asks for a fifth more memory than its runs are known to take (declared)
Seconds = Callable[[PlannedRun], float | None]
Bytes = Callable[[PlannedRun], int | None]


@dataclass
class Array:
    """Jobs of one shape that wait for the same things: one sbatch call."""

    jobs: list[list[PlannedRun]]
    memory_mb: int | None  # per job; None: what the profile has
    level: int  # 0 for runs that need no other run of this submission
    parallel: int = 1
    exclusive: bool = False  # whether its jobs need a machine each for themselves
    after: set[int] = field(default_factory=set)  # positions of arrays that must have ended

    @property
    def runs(self) -> list[PlannedRun]:
        """The runs of all jobs, in order."""
        return [run for job in self.jobs for run in job]


def pack(
    runs: list[PlannedRun],
    *,
    seconds: Seconds,
    memory: Bytes,
    devices: int,
    nodes: int = 1,
    target_seconds: float,
    memory_mb: int | None,
    largest_array: int,
    parallel: int,
) -> list[Array]:
    """Arrays in the order of their submission: those that others wait for come first.

    devices: how many runs a job works on at once, nodes: on how many nodes. target_seconds: the most estimated work of
    a job, per device; it takes less where more jobs may run at once, and a run of unknown length has its own job.
    memory_mb: the profile's memory of a job, on each node. largest_array: the most jobs of an array. parallel: how many
    jobs of a level may run at once, divided among its arrays. Raises UserError if parallel or largest_array is below 1.
    """
    if parallel < 1 or largest_array < 1:
        raise UserError(f"parallel={parallel} and an array of {largest_array} must both be 1 or more")
    # Runs of one shape share jobs: the same level, the same use as a source, alone or not, the same memory
    levels = _levels(runs)
    sources = {uid for run in runs for uid in run.needs}
    groups: dict[tuple[int, bool, bool, int | None], list[PlannedRun]] = {}
    for run in runs:  # in the plan's order: whole replicates first
        need = _job_memory(memory(run), devices // nodes, memory_mb)
        shape = (levels[run.uid], run.uid not in sources, run.exclusive, need)
        groups.setdefault(shape, []).append(run)
    # Fill jobs, and cut them into arrays that the cluster takes
    arrays: list[Array] = []
    for (level, _, exclusive, megabytes), members in sorted(groups.items(), key=lambda item: item[0][:3]):
        at_once = 1 if exclusive else devices
        share = sum(seconds(run) or 0.0 for run in members) / (at_once * parallel)
        jobs = _fill(members, seconds, at_once * min(target_seconds, max(share, SPREAD_SECONDS)))
        pieces = [jobs[start : start + largest_array] for start in range(0, len(jobs), largest_array)]
        arrays += [Array(piece, megabytes, level, exclusive=exclusive) for piece in pieces]
    _share_out(arrays, parallel)
    _wait_for_sources(arrays)
    return arrays


def _levels(runs: list[PlannedRun]) -> dict[str, int]:
    """uid -> how many runs of this list must end one after the other before the run can start; sources come first."""
    levels: dict[str, int] = {}
    for run in runs:
        levels[run.uid] = 1 + max((levels[uid] for uid in run.needs if uid in levels), default=-1)
    return levels


def _job_memory(need: int | None, devices: int, profile_mb: int | None) -> int | None:
    """Megabytes for a job: the profile's, or more if its runs are known to need more."""
    if need is None or profile_mb is None:
        return profile_mb
    # Bytes to whole GB, upwards
    needed_mb = math.ceil(HEADROOM * devices * need / 1e6 / 1000) * 1000
    return max(profile_mb, needed_mb)


def _fill(runs: list[PlannedRun], seconds: Seconds, capacity: float) -> list[list[PlannedRun]]:
    """Put runs into jobs of at most `capacity` seconds, in their order."""
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
    """Divide the limit among the arrays of a level; if there are more arrays than that, some wait for others."""
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
