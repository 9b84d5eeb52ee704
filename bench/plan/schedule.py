"""Runs that are planned: where each is shown, what the store knows of it, and which would start."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from bench.evaluate.registry import is_exclusive
from bench.paths import weights_root
from bench.spec.resources import Resources
from bench.spec.run import RunSpec, WeightsFile
from bench.store.runs import Cause, Status

Retry = Literal["failed", "lost", "stale", "all"]


@dataclass(frozen=True)
class PlannedCell:
    """Where in a table a run is shown: a row (or a reference point), a column, a seed."""

    row: str
    column: str
    seed: int


@dataclass
class PlannedRun:
    """One run of a plan. `cells` is empty for a source run that other runs start from, and for one that is evaluated.

    behind: of a run that is evaluated, the cell that trains it, in words.
    """

    spec: RunSpec
    cells: list[PlannedCell] = field(default_factory=list)
    needs: tuple[str, ...] = ()
    status: Status = "planned"
    cause: Cause | None = None  # of a failed run: its method's fault or the machine's
    changes: tuple[str, ...] = ()  # of a stale run: which inputs differ now
    edited: tuple[str, ...] = ()  # parts whose code has changed since, under the same version
    resources: Resources | None = None  # the table's own figures of its cost
    own_minutes: bool = False  # whether the table says the minutes of this very run, and not of its runs at large
    scaled: bool = False  # whether its minutes are those of the table's own number of steps, scaled to the run's
    behind: str | None = None
    title: str | None = None  # its label in the plan, where the cells are not known (a cluster job)

    @property
    def uid(self) -> str:
        """The run's name: the hash of its spec."""
        return self.spec.uid

    @property
    def gpus(self) -> int:
        """How many devices train it together; 1 for what trains nothing."""
        trains = self.spec.kind == "train" and self.spec.train is not None
        return (self.spec.train.gpus or 1) if trains and self.spec.train else 1

    @property
    def exclusive(self) -> bool:
        """Whether nothing else may be at work beside it on its machine."""
        return is_exclusive(self.spec)

    @property
    def label(self) -> str:
        """What the run is, for people."""
        if self.title is not None:
            return self.title
        if self.cells:
            first = self.cells[0]
            return f"{first.row} · {first.column} · seed {first.seed}"
        if self.behind is not None:
            return f"{self.behind} (training)"
        return f"source · {self.spec.data.name} · seed {self.spec.seed}"


def with_sources(runs: Sequence[PlannedRun], uids: set[str]) -> set[str]:
    """Of runs, sources before their dependants, those named and all that they start from or evaluate, by uid."""
    found = set(uids)
    for run in reversed(runs):
        if run.uid in found:
            found |= {*run.needs}
    return found


class Schedule:
    """Runs at a scale, of one table or of several, sources before their dependants.

    again: finished runs to be done once more. trains: whether trainings may start; without, only what scores real
    images or evaluates a run that is over.
    """

    scale: str
    runs: list[PlannedRun]
    again: set[str]
    trains: bool

    @property
    def name(self) -> str:
        """What is planned, in messages and records."""
        raise NotImplementedError

    def ask_again(self) -> None:
        """Let the finished runs of the rows start too (--rerun)."""
        raise NotImplementedError

    def train_nothing(self) -> None:
        """Let no training start (--no-train)."""
        self.trains = False

    def only(self, runs: list[PlannedRun]) -> Self:
        """The same plan with these of its runs alone."""
        plan = copy.copy(self)
        plan.runs = runs
        return plan

    def counts(self, elsewhere: Mapping[str, str] | None = None) -> Counter[str]:
        """How many runs have which status; `elsewhere` (uid -> status) is believed before a run's own."""
        return Counter((elsewhere or {}).get(run.uid, run.status) for run in self.runs)

    def to_start(self, retry: Retry | None) -> list[PlannedRun]:
        """The runs that would start now: never finished ones; failed or stale ones only when `retry` asks for them.

        Interrupted runs and lost ones (whose worker vanished) continue from their checkpoints. A run whose source is
        stale waits until the source is trained anew.
        retry: "lost" also starts runs that failed through their machine (a full disk, a broken GPU). "failed" starts
        every failed run. "stale" trains anew the runs that were made from other inputs. "all" does all of these.
        """
        left_out = {run.uid for run in self.left_out(retry)}
        return [run for run in self._asked_for(retry) if run.uid not in left_out]

    def left_out(self, retry: Retry | None) -> list[PlannedRun]:
        """The runs that would start if trainings might: these, and the evaluations of runs that are not over."""
        if self.trains:
            return []
        over = {run.uid for run in self.runs if run.status in ("done", "diverged")}
        return [run for run in self._asked_for(retry) if run.spec.kind == "train" or not over >= {*run.needs}]

    def _asked_for(self, retry: Retry | None) -> list[PlannedRun]:
        statuses: set[Status] = {"planned", "interrupted", "lost"}
        statuses |= {"failed"} if retry in ("failed", "all") else set()
        statuses |= {"stale"} if retry in ("stale", "all") else set()
        by_machine = retry == "lost"
        stale = set() if "stale" in statuses else self._stale_or_behind()
        candidates = [run for run in self.runs if run.status in statuses or run.uid in self.again
                 or (by_machine and run.cause == "machine")]  # fmt: skip
        return [run for run in candidates if not stale & {*run.needs}]

    def behind_failed(self, retry: Retry | None) -> list[PlannedRun]:
        """The runs that would start now and cannot: a run that they start from or evaluate has failed, and stays so."""
        starting = self.to_start(retry)
        stuck = {run.uid for run in self.runs if run.status == "failed"} - {run.uid for run in starting}
        for run in starting:  # sources come first
            stuck |= {run.uid} if stuck & {*run.needs} else set()
        return [run for run in starting if run.uid in stuck]

    def waiting_for_stale(self) -> list[PlannedRun]:
        """Runs that have not begun and will not while their source is stale."""
        stale = self._stale_or_behind()
        return [run for run in self.runs if run.status == "planned" and stale & {*run.needs}]

    def _stale_or_behind(self) -> set[str]:
        """The stale runs, and those that have not begun and wait for one, through others too."""
        stale: set[str] = set()
        for run in self.runs:  # sources come first
            if run.status == "stale" or (run.status == "planned" and stale & {*run.needs}):
                stale.add(run.uid)
        return stale

    def missing_weights(self) -> dict[str, str]:
        """Weights that the user has yet to supply: name -> where to put the file."""
        names = {source.weights for run in self.runs for source in run.spec.sources.values()
                 if isinstance(source, WeightsFile)}  # fmt: skip
        files = {name: weights_root() / f"{name}.pt" for name in sorted(names)}
        return {name: str(path) for name, path in files.items() if not path.is_file()}
