"""What runs will take, from finished runs of the same kind and else from what their table says."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field

from bench.plan.runs import Plan, PlannedRun, Retry
from bench.spec.run import RunSpec
from bench.store.runs import Store

REFERENCE_SECONDS = 60.0  # scoring real images once: feature extraction only


@dataclass(frozen=True)
class Cost:
    """What a plan's unfinished runs will take; None where nothing tells."""

    seconds: float | None  # of one worker
    disk_bytes: int | None
    measured_on: int  # how many finished runs the estimate rests on


@dataclass
class Estimates:
    """Seconds and bytes of runs. Measured figures win over a table's `resources`."""

    seconds_of: dict[str, list[float]] = field(default_factory=dict)
    memory_of: dict[str, list[int]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    @classmethod
    def measured(cls, store: Store, runs: list[PlannedRun]) -> Estimates:
        """From the store's finished runs of the kinds of `runs`."""
        estimates, kinds = cls(), {kind(run.spec) for run in runs}
        for folder in store:
            result = folder.result()
            if result is None or not result.get("seconds") or (own := kind(folder.spec())) not in kinds:
                continue
            estimates.seconds_of.setdefault(own, []).append(result["seconds"])
            if memory := (folder.heartbeat() or {}).get("memory"):
                estimates.memory_of.setdefault(own, []).append(memory)
            estimates.sizes.append(
                sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
            )
        return estimates

    def seconds(self, run: PlannedRun) -> float | None:
        """How long a worker will take for the run; None if nothing tells."""
        if measured := self.seconds_of.get(kind(run.spec)):
            return statistics.median(measured)
        minutes = run.resources.minutes if run.resources else None
        by_table = None if minutes is None else minutes * 60
        if run.spec.kind == "reference":
            return min(REFERENCE_SECONDS, by_table or REFERENCE_SECONDS)
        return by_table

    def memory(self, run: PlannedRun) -> int | None:
        """The most main memory the run's process will have, in bytes; None if nothing tells."""
        if measured := self.memory_of.get(kind(run.spec)):
            return max(measured)
        gigabytes = run.resources.memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)

    def gpu_memory(self, run: PlannedRun) -> int | None:
        """The most GPU memory it will have, in bytes; None if nothing tells."""
        gigabytes = run.resources.gpu_memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)


def estimate_cost(plan: Plan, store: Store, retry: Retry | None = None) -> Cost:
    """Median seconds and bytes of finished runs, per kind, times what is left to do.

    A kind of training of which none has finished is taken to cost what the others do; while none at all has, the
    table's own figures count. Reference points have their own times.
    """
    estimates, left = Estimates.measured(store, plan.runs), plan.to_start(retry)
    kinds = {kind(run.spec) for run in plan.runs if run.spec.kind == "train"}
    trained = [value for name in kinds for value in estimates.seconds_of.get(name, [])]
    durations = [estimates.seconds(run) for run in left]
    if trained:
        typical = statistics.median(trained)
        durations = [
            typical if run.spec.kind == "train" and kind(run.spec) not in estimates.seconds_of else seconds
            for run, seconds in zip(left, durations, strict=True)
        ]
    seconds = [duration for duration in durations if duration is not None]
    disk = int(statistics.median(estimates.sizes)) * len(left) if trained else None
    return Cost(sum(seconds) if left and len(seconds) == len(left) else None, disk, len(trained))


def kind(spec: RunSpec) -> str:
    """Runs of one kind take about equally long: same method, network and schedule; a reference point, same scores."""
    settings = spec.model_dump(mode="json", include={"network", "train"} if spec.train else {"protocol"})
    names = [part.name for part in spec.method]
    return json.dumps([names, settings, spec.data.resolution], sort_keys=True)
