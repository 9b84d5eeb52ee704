"""The status of every run, from the store's records and the cluster's queue.

The store knows what has been trained, and the queue knows which jobs are to train the rest. Each counts only for what
it can know: a run whose job has left the queue is not running, even if its heartbeat is recent.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any, Literal

from bench.launch.slurm.commands import ClusterError, Task, accounting, ending_in_log, killed_for_memory, queue
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
# SLURM's reasons for a waiting job, in plain words
REASONS = {
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
    """The status of one run at the time of a survey."""

    uid: str
    label: str
    state: State
    detail: str = ""
    step: int = 0
    steps: int = 0
    rate: float | None = None  # steps per second
    node: str = ""
    job: str | None = None
    retry: str | None = None  # of a run that was submitted again with more memory or time: which retry, why, with what

    @property
    def seconds_left(self) -> float | None:
        """Seconds until a running run ends, at its present rate; None for other runs."""
        return (self.steps - self.step) / self.rate if self.rate and self.state == "running" else None


@dataclass
class Survey:
    """The cluster's answers about many runs, asked for once."""

    store: Store
    places: dict[str, Place]
    tasks: dict[tuple[str, int], Task]
    past: dict[str, Task]
    machine: Machine
    silent: str | None = None  # why the cluster could not be asked

    @classmethod
    def of(cls, store: Store, submissions: list[Submission], uids: list[str]) -> Survey:
        """Ask squeue once for the jobs of these runs, and sacct for those that squeue has forgotten."""
        placed = {uid: place for uid, place in places(submissions).items() if uid in set(uids)}
        open_places = [placed[uid] for uid in placed if store.folder(uid).result() is None]
        names = {place.array.name for place in open_places}
        try:
            tasks = queue(names)
        except ClusterError as error:
            return cls(store, placed, {}, {}, Machine(store), str(error))
        forgotten = [place.job for place in open_places if place.job and (place.array.name, place.index) not in tasks]
        return cls(store, placed, tasks, accounting(forgotten), Machine(store))

    def task(self, uid: str) -> Task | None:
        """The job of the run, if it is still in the queue or at work."""
        place = self.places.get(uid)
        task = self.tasks.get((place.array.name, place.index)) if place else None
        return task if task is not None and task.active else None

    def status_of(self, uid: str, label: str) -> RunStatus:
        """The status of one run; the first of the rules below that fits decides."""
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
            retry=str(place.submission.retry) if place and place.submission.retry else None,
        )
        # Rules that the store alone decides
        if status not in FRESH and (changes := self.machine.changes(folder)) and task is None:
            return _with(base, "stale", f"{'; '.join(changes)}; --retry stale trains it anew")
        if status in ("done", "diverged"):
            return _with(base, status, "" if status == "done" else _divergence(folder))
        if status == "failed":
            return _with(base, "failed", f"({folder.cause()}) {folder.error()}")
        # A heartbeat counts unless its job has left the queue
        if status == "running" and not _outlived(beat, place, task, self.silent):
            alone = self.silent is None and task is None and place is not None and beat.get("job") == place.job
            detail = f"job {place.job} has ended, its worker goes on" if alone and place and place.job else ""
            return _with(base, "running", detail, rate=beat.get("rate"))
        # Not running: what is to become of it
        if folder.stop_requested():
            return _with(base, "cancelled", _kept(base, folder))
        if task is not None:
            return _in_queue(base, task, beat)
        return self._out_of_queue(base, folder, status, place)

    def _out_of_queue(self, base: RunStatus, folder: RunFolder, status: str, place: Place | None) -> RunStatus:
        """The status of a run that is not running and has no job in the queue."""
        if stuck := self._failed_source(folder):
            return _with(base, "blocked", f"its source {stuck} failed; --retry failed begins with it")
        # Never submitted, or its submission failed
        if place is None or place.job is None:
            if status in ("interrupted", "lost"):
                return _with(base, status, _kept(base, folder))
            return _with(base, "planned", "" if place is None else "sbatch did not take its job; submit again")
        if self.silent is not None:
            state = status if status in ("interrupted", "lost") else "planned"
            return _with(base, state, f"the cluster does not answer ({self.silent}); job {place.job}")
        # Its job is over, but the run is not
        ending, source = self.ending(place)
        if ending == "CANCELLED":
            return _with(base, "cancelled", f"job {place.job} was cancelled; {_kept(base, folder)}")
        how = f"job {place.job} ended: {ending}" + (f" ({source})" if source else "")
        return _with(base, "interrupted" if status == "interrupted" else "lost", f"{how}; {_kept(base, folder)}")

    def _failed_source(self, folder: RunFolder) -> str | None:
        """The uid of a failed source, without which a run that was asked for cannot start; None if there is none."""
        begun = folder.spec_file.exists()  # it may have been set aside or deleted since
        sources = folder.spec().run_sources.values() if begun else ()
        return next((source.uid for source in sources if self.store.folder(source.uid).status() == "failed"), None)

    def ending(self, place: Place) -> tuple[str, str]:
        """How an ended job ended, in SLURM's word, and the source of this."""
        task = self.tasks.get((place.array.name, place.index)) or self.past.get(place.job or "")
        log = place.log(self.store)
        if task is not None:
            state = task.state.split()[0]
            if state in ("FAILED", "CANCELLED") and log is not None and killed_for_memory(log):
                return "OUT_OF_MEMORY", f"by {log}"
            return state, " ".join(filter(None, (task.reason.replace("None", ""), task.node)))
        if log is None or not log.exists():
            return "CANCELLED", "gone from the queue before it started"
        return ending_in_log(log) or "UNKNOWN", f"by {log}"


def _outlived(beat: dict[str, Any], place: Place | None, task: Task | None, silent: str | None) -> bool:
    """Whether a recent heartbeat is of a cluster job that has ended or waits, so that the run is not running.

    The queue decides for runs of this submission's jobs. It does not decide for a worker of this machine, whose process
    was seen alive and may have survived its job, nor for a run that is trained outside of the cluster: for these the
    heartbeat counts.
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


def _divergence(folder: RunFolder) -> str:
    """Why a run has diverged."""
    evaluated = folder.spec().evaluated
    return "a loss was not finite" if evaluated is None else f"the run that it evaluates has diverged: {evaluated.uid}"


def _kept(base: RunStatus, folder: RunFolder) -> str:
    """Where the run would continue: from its checkpoint, not from the step of its last heartbeat."""
    if folder.spec_file.exists() and folder.spec().kind != "train":
        return "it begins again"
    if (step := folder.saved_step()) is not None:
        return f"continues from a checkpoint up to step {step}"
    return f"trained up to step {base.step}, no checkpoint is left" if base.step else "nothing trained yet"


def _with(base: RunStatus, state: Any, detail: str, **changes: Any) -> RunStatus:
    return RunStatus(**{**vars(base), "state": state, "detail": detail, **changes})
