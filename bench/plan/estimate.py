"""The cost of runs: from stored runs of the same kind, else by a card's model, else from the table's own figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bench.evaluate.registry import run_measure
from bench.files.sizes import folder_bytes
from bench.plan.cost.model import Card, Span
from bench.plan.cost.steps import work_of
from bench.plan.kinds import Kind, RecordedKinds, kind
from bench.plan.schedule import PlannedRun, Retry, Schedule
from bench.store.runs import RunFolder, Store

# At most, for a reference point or an evaluation that has not run yet, as they extract features and train nothing
SCORING_SECONDS = 60.0
# The least share of a run's steps that a pace must have been measured over to win over a figure from elsewhere: in
# fewer, starting and the last scores weigh too much (declared)
ENOUGH = 0.05
# So many finished runs tell what a run takes on the disk: looking at every file of 10,000 would be a tenth of a plan
MOST_SIZED = 1000


class Pace(NamedTuple):
    """Seconds of a step, as a stored run made it over so many steps; finished: whether that run is done."""

    uid: str
    seconds: float
    steps: int
    finished: bool


@dataclass(frozen=True)
class Cost:
    """What a plan's unfinished runs will take; None where no figure is known."""

    spans: dict[str, Span | None]  # seconds of one worker for each run that is to start, by uid
    disk_bytes: int | None
    measured_on: int  # how many finished runs the estimate rests on
    paced_on: int = 0  # how many unfinished runs
    scaled: bool = False  # whether a figure of another number of steps has been scaled
    by_table: bool = True  # whether the table has a figure of its own

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
    """Seconds and bytes of runs. Measured figures win over a table's `resources`.

    paces: of trainings of the same kind that made other numbers of steps or are not done, by Kind.what.
    """

    seconds_of: dict[Kind, list[float]] = field(default_factory=dict)
    paces: dict[str, list[Pace]] = field(default_factory=dict)
    memory_of: dict[Kind, list[int]] = field(default_factory=dict)
    gpu_memory_of: dict[Kind, list[int]] = field(default_factory=dict)
    gpu_busy_of: dict[Kind, list[float]] = field(default_factory=dict)
    finished: list[Path] = field(default_factory=list)  # the folders of finished runs of the same kinds
    kinds: dict[str, Kind] = field(default_factory=dict)  # of the runs that the figures are for, by uid

    @classmethod
    def measured(cls, store: Store, runs: list[PlannedRun]) -> Estimates:
        """The figures of the store's runs of the same kinds as `runs`."""
        estimates = cls(kinds={run.uid: kind(run.spec) for run in runs})
        kinds = {*estimates.kinds.values()}
        trained, recorded = {own.what for own in kinds if own.steps is not None}, RecordedKinds()
        for folder in store:
            result = folder.result()
            if result is None:
                estimates._note_unfinished(folder, trained, recorded)
            elif result.get("seconds") and (own := recorded.of(folder)) in kinds:
                estimates.seconds_of.setdefault(own, []).append(result["seconds"])
                beat = folder.heartbeat() or {}
                for key, figures in (
                    ("memory", estimates.memory_of),
                    ("gpu_memory", estimates.gpu_memory_of),
                    ("gpu_busy", estimates.gpu_busy_of),
                ):
                    if figure := beat.get(key):
                        figures.setdefault(own, []).append(figure)
                estimates.finished.append(folder.path)
            elif result.get("seconds") and own.steps and own.what in trained:
                made = result.get("diverged_at") or own.steps
                estimates.paces.setdefault(own.what, []).append(Pace(folder.uid, result["seconds"] / made, made, True))
        return estimates

    def run_bytes(self) -> int:
        """Bytes of the median finished run, of `MOST_SIZED` that are spread evenly where there are more."""
        return int(statistics.median(map(folder_bytes, self.finished[:: -(-len(self.finished) // MOST_SIZED)])))

    def _note_unfinished(self, folder: RunFolder, trained: set[str], recorded: RecordedKinds) -> None:
        """Keep the pace of a run that is not done, if its heartbeat has one."""
        beat = folder.heartbeat() or {}
        if beat.get("rate") and beat.get("step") and (own := recorded.of(folder)).what in trained:
            self.paces.setdefault(own.what, []).append(Pace(folder.uid, 1 / beat["rate"], beat["step"], False))

    def seconds(self, run: PlannedRun) -> float | None:
        """How many seconds a worker will take for the run; None if no figure is known."""
        span = self.span(run, None)
        return None if span is None else span.expected

    def span(self, run: PlannedRun, card: Card | None) -> Span | None:
        """Low, expected and high seconds of the run: of stored runs, else a training's on a card, else the table's.

        Finished runs of the same kind give the fastest, the median and the slowest. Without any, others of another
        number of steps or unfinished ones do by their steps, if they made enough. A figure of the table has no spread.
        """
        if measured := self.measured_seconds(run):
            return _span(measured)
        trains = run.spec.kind == "train" and run.spec.train is not None
        on_card = card.span_of(run.spec, work_of(run.spec)) if card is not None and trains else None
        if on_card is not None:
            return on_card
        by_table = None if (minutes := _minutes(run)) is None else minutes * 60
        if run.spec.kind != "train":
            declared = run_measure(run.spec.measure.name).seconds if run.spec.measure is not None else None
            return _span([declared or min(SCORING_SECONDS, by_table or SCORING_SECONDS)])
        return None if by_table is None else _span([by_table])

    def measured_seconds(self, run: PlannedRun) -> list[float]:
        """Seconds of the run by each stored one that tells of it; empty if none does."""
        own = self.kind_of(run)
        if exact := self.seconds_of.get(own):
            return exact
        return [pace.seconds * (own.steps or 0) for pace in self.paces_for(run)]

    def paces_for(self, run: PlannedRun) -> list[Pace]:
        """The paces that a run is estimated by: none where runs of its very kind are finished.

        Those over few of its steps count only where there is nothing else.
        """
        own = self.kind_of(run)
        if own.steps is None or own in self.seconds_of:
            return []
        known = self.paces.get(own.what, [])
        enough = [pace for pace in known if pace.steps >= ENOUGH * own.steps]
        return enough or ([] if _minutes(run) is not None else known)

    def kind_of(self, run: PlannedRun) -> Kind:
        """The kind of a run, found out once for those that the figures are for."""
        return self.kinds.get(run.uid) or kind(run.spec)

    def memory(self, run: PlannedRun) -> int | None:
        """The most main memory that the run's process will use, in bytes; None if no figure is known."""
        if measured := self.memory_of.get(self.kind_of(run)):
            return max(measured)
        gigabytes = run.resources.memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)

    def gpu_busy(self, run: PlannedRun) -> float | None:
        """The share of time in which the run keeps a GPU busy, by stored ones alone on theirs; None if none tells."""
        measured = self.gpu_busy_of.get(self.kind_of(run))
        return statistics.median(measured) if measured else None

    def gpu_memory(self, run: PlannedRun, *, measured: bool = False) -> int | None:
        """The most GPU memory that the run will use, in bytes; None if no figure is known, or no measured one."""
        if figures := self.gpu_memory_of.get(self.kind_of(run)):
            return max(figures)
        if measured:
            return None
        gigabytes = run.resources.gpu_memory_gb if run.resources else None
        return None if gigabytes is None else int(gigabytes * 1e9)


def estimate_cost(plan: Schedule, store: Store, retry: Retry | None = None, card: Card | None = None) -> Cost:
    """The seconds of each run that is left to do, and the bytes of all; `card`: what trainings are for, None for a CPU.

    On a CPU a kind of training of which the store has none is taken to cost what the others do, step by step, unless
    the table has a figure of it alone. Where the store has none of any, the table's own figures count. Reference points
    and evaluations have their own times.
    """
    estimates, left = Estimates.measured(store, plan.runs), plan.to_start(retry)
    # One training of each kind: what is known of it
    trainings = {estimates.kind_of(run): run for run in plan.runs if run.spec.kind == "train"}
    exact = sum(len(estimates.seconds_of.get(own, [])) for own in trainings)
    paces = {pace for run in trainings.values() for pace in estimates.paces_for(run)}
    spans = {run.uid: estimates.span(run, card) for run in left}
    known = {run.uid for run in left if run.spec.kind != "train" or estimates.measured_seconds(run)}
    # Where some training has been measured, it stands in for kinds that have not
    a_step = _typical(estimates, trainings) if card is None else None
    if a_step is not None:
        others = [run for run in left if run.uid not in known and not run.own_minutes]
        spans |= {run.uid: a_step.times(run.spec.train.steps) for run in others if run.spec.train is not None}
    # From where all this is
    by_own = a_step is None and card is None
    scaled = any(estimates.paces_for(run) or (by_own and run.scaled) for run in left)
    disk = estimates.run_bytes() * len(left) if exact and left else None
    finished = sum(pace.finished for pace in paces)
    by_table = any(_minutes(run) is not None for run in left)
    return Cost(spans, disk, exact + finished, len(paces) - finished, scaled, by_table)


def _typical(estimates: Estimates, trainings: dict[Kind, PlannedRun]) -> Span | None:
    """Seconds of a step over the measured trainings of a plan; None without any."""
    measured = [(own.steps or 1, estimates.measured_seconds(run)) for own, run in trainings.items()]
    a_step = [seconds / steps for steps, times in measured for seconds in times]
    return _span(a_step) if a_step else None


def _span(seconds: Iterable[float]) -> Span:
    values = list(seconds)
    return Span(min(values), statistics.median(values), max(values))


def _minutes(run: PlannedRun) -> float | None:
    """The table's own figure of a run's time."""
    return run.resources.minutes if run.resources else None
