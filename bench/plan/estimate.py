"""The cost of runs: from finished runs of the same kind, else by a card's model, else from the table's own figures."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import Any

from bench.evaluate.registry import run_measure
from bench.files.sizes import folder_bytes
from bench.plan.cost.model import Card, Span
from bench.plan.cost.steps import work_of
from bench.plan.schedule import PlannedRun, Retry, Schedule
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder, Store

# At most, for a reference point or an evaluation that has not run yet, as they extract features and train nothing
SCORING_SECONDS = 60.0


@dataclass(frozen=True)
class Cost:
    """What a plan's unfinished runs will take; None where no figure is known."""

    spans: dict[str, Span | None]  # seconds of one worker for each run that is to start, by uid
    disk_bytes: int | None
    measured_on: int  # how many finished runs the estimate rests on

    @property
    def known(self) -> Span | None:
        """Seconds of the runs whose figure is known, together; None if none is."""
        known = [span for span in self.spans.values() if span is not None]
        return Span(*(sum(values) for values in zip(*known, strict=True))) if known else None

    @property
    def seconds(self) -> float | None:
        """The expected seconds of all runs; None if one is unknown."""
        return self.known.expected if self.known is not None and None not in self.spans.values() else None


@dataclass
class Estimates:
    """Seconds and bytes of runs. Measured figures win over a table's `resources`."""

    seconds_of: dict[str, list[float]] = field(default_factory=dict)
    memory_of: dict[str, list[int]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    @classmethod
    def measured(cls, store: Store, runs: list[PlannedRun]) -> Estimates:
        """The figures of the store's finished runs of the same kinds as `runs`."""
        estimates, kinds = cls(), {kind(run.spec) for run in runs}
        for folder in store:
            result = folder.result()
            if result is None or not result.get("seconds") or (own := _recorded_kind(folder)) not in kinds:
                continue
            estimates.seconds_of.setdefault(own, []).append(result["seconds"])
            if memory := (folder.heartbeat() or {}).get("memory"):
                estimates.memory_of.setdefault(own, []).append(memory)
            estimates.sizes.append(folder_bytes(folder.path))
        return estimates

    def seconds(self, run: PlannedRun) -> float | None:
        """How many seconds a worker will take for the run; None if no figure is known."""
        if measured := self.seconds_of.get(kind(run.spec)):
            return statistics.median(measured)
        minutes = run.resources.minutes if run.resources else None
        by_table = None if minutes is None else minutes * 60
        if run.spec.kind == "train":
            return by_table
        declared = run_measure(run.spec.measure.name).seconds if run.spec.measure is not None else None
        return declared or min(SCORING_SECONDS, by_table or SCORING_SECONDS)

    def span(self, run: PlannedRun, card: Card | None) -> Span | None:
        """Low, expected and high seconds of the run: from finished runs, else a training's on a card, else the table's.

        Finished runs give the fastest, the median and the slowest; a figure of the table has no spread.
        """
        if measured := self.seconds_of.get(kind(run.spec)):
            return Span(min(measured), statistics.median(measured), max(measured))
        work = work_of(run.spec) if card is not None and run.spec.kind == "train" else None
        if card is not None and work is not None and run.spec.train is not None:
            return card.span(work, run.spec.train.steps)
        seconds = self.seconds(run)
        return None if seconds is None else Span(seconds, seconds, seconds)

    def memory(self, run: PlannedRun) -> int | None:
        """The most main memory that the run's process will use, in bytes; None if no figure is known."""
        if measured := self.memory_of.get(kind(run.spec)):
            return max(measured)
        gigabytes = run.resources.memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)

    def gpu_memory(self, run: PlannedRun) -> int | None:
        """The most GPU memory that the run will use, in bytes; None if no figure is known."""
        gigabytes = run.resources.gpu_memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)


def estimate_cost(plan: Schedule, store: Store, retry: Retry | None = None, card: Card | None = None) -> Cost:
    """The seconds of each run that is left to do, and the bytes of all; `card`: what trainings are for, None for a CPU.

    On a CPU a kind of training without a finished run is taken to cost what the others do. Where no training has
    finished at all, the table's own figures count. Reference points and evaluations have their own times.
    """
    estimates, left = Estimates.measured(store, plan.runs), plan.to_start(retry)
    kinds = {kind(run.spec) for run in plan.runs if run.spec.kind == "train"}
    trained = [value for name in kinds for value in estimates.seconds_of.get(name, [])]
    spans = {run.uid: estimates.span(run, card) for run in left}
    # Where some training has finished, it stands in for kinds that have not.
    if trained and card is None:
        typical = Span(min(trained), statistics.median(trained), max(trained))
        others = [run for run in left if run.spec.kind == "train" and kind(run.spec) not in estimates.seconds_of]
        spans |= dict.fromkeys((run.uid for run in others), typical)
    disk = int(statistics.median(estimates.sizes)) * len(left) if trained else None
    return Cost(spans, disk, len(trained))


def kind(spec: RunSpec) -> str:
    """A key for runs that take about equally long.

    Trainings of one kind share method, network and schedule; reference points share their scores, evaluations their
    measure, scores and network, and where they are of no run their method and batch.
    """
    return _key(spec.model_dump(mode="json"))


def _recorded_kind(folder: RunFolder) -> str:
    """The kind of a stored run. UserError for a record that is no spec."""
    try:
        return _key(folder.plain_spec())
    except (KeyError, TypeError, AttributeError):
        return kind(folder.spec())  # which says what is wrong with it


def _key(plain: dict[str, Any]) -> str:
    """The kind of a run's plain data, as a record has it: settings that came later are None, or not there."""
    resolution = plain["data"]["resolution"]
    if plain.get("measure") is not None:
        network = plain.get("sources", {}).get("run", plain).get("network")
        own = [[part["name"] for part in plain["method"]], plain.get("train")]  # of a measure that looks at no run
        parts = [plain["measure"], plain.get("protocol"), network, resolution, own]
    else:
        names = [part["name"] for part in plain["method"]]
        trained = plain.get("train") is not None
        parts = [names, *([plain["network"], plain["train"]] if trained else [plain.get("protocol")]), resolution]
    return json.dumps(_given(parts), sort_keys=True)


def _given(value: Any) -> Any:
    """Plain data without what is None."""
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value
