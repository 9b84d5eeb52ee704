"""Where every run stands: the store's records and the cluster's word put together.

The store says what has been trained, the queue who is to train the rest. Neither is believed where it cannot know:
a heartbeat of a job that has left the queue is no running run.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any, Literal

from bench.launch.slurm.commands import ClusterError, Task, accounting, ending_in_log, queue
from bench.launch.slurm.records import Place, Submission, places
from bench.plan.inputs import FRESH, Machine
from bench.store.liveness import STALE_SECONDS
from bench.store.runs import RunFolder, Store

State = Literal[
    "planned",
    "queued",
    "running",
    "requeued",
    "held",
    "interrupted",
    "cancelled",
    "blocked",
    "lost",
    "failed",
    "diverged",
    "stale",
    "done",
]
IN_HAND: tuple[State, ...] = ("queued", "running", "requeued", "held")
REASONS = {  # SLURM's reasons, for people
    "Dependency": "after the runs it starts from",
    "BeginTime": "SLURM lets a requeued job wait before it starts again",
    "Resources": "waits for a free node",
    "Priority": "others are before it",
    "JobArrayTaskLimit": "the profile's `parallel` jobs are at work",
    "JobHeldUser": "held; scontrol release lets it go",
    "JobHeldAdmin": "held by the cluster's administrators",
}


@dataclass(frozen=True)
class RunStatus:
    """One run now."""

    uid: str
    label: str
    state: State
    detail: str = ""
    step: int = 0
    steps: int = 0
    rate: float | None = None  # steps per second
    node: str = ""
    job: str | None = None

    @property
    def seconds_left(self) -> float | None:
        """Of a running run, at its present rate."""
        return (self.steps - self.step) / self.rate if self.rate and self.state == "running" else None


@dataclass
class Survey:
    """What the cluster says, asked once for many runs."""

    store: Store
    places: dict[str, Place]
    tasks: dict[tuple[str, int], Task]
    past: dict[str, Task]
    machine: Machine
    silent: str | None = None  # why the cluster could not be asked

    @classmethod
    def of(cls, store: Store, submissions: list[Submission], uids: list[str]) -> Survey:
        """One squeue call for the jobs of these runs; sacct only for jobs that squeue has forgotten."""
        found = {uid: place for uid, place in places(submissions).items() if uid in set(uids)}
        open_places = [found[uid] for uid in found if store.folder(uid).result() is None]
        names = {place.array.name for place in open_places}
        try:
            tasks = queue(names)
        except ClusterError as error:
            return cls(store, found, {}, {}, Machine(store), str(error))
        forgotten = [
            place.job for place in open_places if place.job and (place.array.name, place.index) not in tasks
        ]
        return cls(store, found, tasks, accounting(forgotten), Machine(store))

    def task(self, uid: str) -> Task | None:
        """The job that has the run now, if it is still in the queue or at work."""
        place = self.places.get(uid)
        task = self.tasks.get((place.array.name, place.index)) if place else None
        return task if task is not None and task.active else None

    def status_of(self, uid: str, label: str) -> RunStatus:
        """Where the run stands."""
        folder = self.store.folder(uid)
        beat, status, task = folder.heartbeat() or {}, folder.status(), self.task(uid)
        place = self.places.get(uid)
        base = RunStatus(
            uid,
            label,
            "planned",
            step=beat.get("step", 0),
            steps=beat.get("steps", 0),
            node=task.node if task and task.node else beat.get("host", ""),
            job=task.job if task else place.job if place else None,
        )
        if status not in FRESH and (changes := self.machine.changes(folder)) and task is None:
            return _with(base, "stale", f"{'; '.join(changes)}; --retry stale trains it anew")
        if status in ("done", "diverged"):
            return _with(base, status, "" if status == "done" else "a loss was not finite")
        if status == "failed":
            return _with(base, "failed", f"({folder.cause()}) {folder.error()}")
        if status == "running" and not _outlived(beat, place, task, self.silent):
            alone = (
                self.silent is None and task is None and place is not None and beat.get("job") == place.job
            )
            detail = f"job {place.job} has ended, its worker goes on" if alone and place and place.job else ""
            return _with(base, "running", detail, rate=beat.get("rate"))
        if folder.stop_requested():
            return _with(base, "cancelled", _kept(base, folder))
        if task is not None:
            return _in_queue(base, task, beat)
        return self._out_of_queue(base, folder, status, place)

    def _out_of_queue(
        self, base: RunStatus, folder: RunFolder, status: str, place: Place | None
    ) -> RunStatus:
        if stuck := self._failed_source(folder, place):
            return _with(base, "blocked", f"its source {stuck} failed")
        if place is None or place.job is None:
            if status in ("interrupted", "lost"):
                return _with(base, status, _kept(base, folder))
            return _with(
                base, "planned", "" if place is None else "sbatch did not take its job; submit again"
            )
        if self.silent is not None:
            state = status if status in ("interrupted", "lost") else "planned"
            return _with(base, state, f"the cluster does not answer ({self.silent}); job {place.job}")
        ending, source = self._ending(place)
        if ending == "CANCELLED":
            return _with(base, "cancelled", f"job {place.job} was cancelled; {_kept(base, folder)}")
        how = f"job {place.job} ended: {ending}" + (f" ({source})" if source else "")
        return _with(
            base, "interrupted" if status == "interrupted" else "lost", f"{how}; {_kept(base, folder)}"
        )

    def _failed_source(self, folder: RunFolder, place: Place | None) -> str | None:
        """The source without which a submitted run cannot start."""
        sources = folder.spec().run_sources.values() if place is not None else ()
        return next((one.uid for one in sources if self.store.folder(one.uid).status() == "failed"), None)

    def _ending(self, place: Place) -> tuple[str, str]:
        """How a job that is over ended, and who says so."""
        told = self.tasks.get((place.array.name, place.index)) or self.past.get(place.job or "")
        if told is not None:
            return told.state.split()[0], " ".join(filter(None, (told.reason.replace("None", ""), told.node)))
        log = place.log(self.store)
        if log is None or not log.exists():
            return "CANCELLED", "gone from the queue before it started"
        return ending_in_log(log) or "UNKNOWN", f"by {log}"


def _outlived(beat: dict[str, Any], place: Place | None, task: Task | None, silent: str | None) -> bool:
    """Whether a heartbeat that looks alive is of a cluster job that the queue knows to be over or waiting.

    The queue's word wins for runs that a job of this submission had, unless the worker's process is seen alive on
    this very machine (its job was killed, it was not); a run that somebody trains outside of the cluster is judged by
    its heartbeat alone.
    """
    if beat.get("host") == socket.gethostname():
        return False
    if silent is not None or place is None or beat.get("job") is None or beat["job"] != place.job:
        return False
    return task is None or task.waits


def _in_queue(base: RunStatus, task: Task, beat: dict[str, Any]) -> RunStatus:
    """A run whose job is in the queue or at work, and which is not itself running."""
    reason = REASONS.get(task.reason, task.reason)
    if task.waits:
        if "held" in task.reason.lower():
            return _with(base, "held", f"job {task.job}: {reason}")
        begun = beat.get("job") == task.job
        return _with(base, "requeued" if begun else "queued", f"job {task.job}: {reason}")
    silent = time.time() - beat.get("time", 0) if beat.get("state") == "running" else 0
    if silent > STALE_SECONDS:
        return _with(base, "running", f"no sign of life for {silent:.0f} s", node=task.node)
    return _with(base, "queued", f"in job {task.job}, which is at work", node=task.node)


def _kept(base: RunStatus, folder: RunFolder) -> str:
    """What there is to go on from: the checkpoint that lies there, not the step that was last heard of."""
    if (step := folder.saved_step()) is not None:
        return f"continues from a checkpoint up to step {step}"
    return f"trained up to step {base.step}, no checkpoint is left" if base.step else "nothing trained yet"


def _with(base: RunStatus, state: Any, detail: str, **changes: Any) -> RunStatus:
    return RunStatus(**{**vars(base), "state": state, "detail": detail, **changes})
