"""What a cluster job does: works its runs off with the local queue, saves when its time is over, and requeues itself.

The store has the truth about every run, so a job may be started again at any time from the pickle it was submitted
with: it skips what is done and continues what was interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.launch.local.queue import Queue
from bench.launch.local.worker_handle import slots
from bench.launch.progress import Plain, Tally, counted
from bench.machine.host import slurm_job
from bench.machine.provenance import commit
from bench.plan.estimate import Estimates
from bench.plan.inputs import changed_since, described
from bench.plan.runs import PlannedRun
from bench.spec.run import readable
from bench.store.runs import Store

START = "BENCH_JOB_START"  # set by the batch script: seconds since the epoch when the job began
LOG_SECONDS = 60.0  # a progress line a minute
# A failure is not tried again unless `--retry` hands the run out anew, which clears it.
SKIPPED = ("done", "diverged", "failed")


@dataclass(frozen=True)
class TableJob:
    """The runs of one job. Called by submitit on the node; nothing about progress is in here.

    seconds: how long the job may work before it saves (its time limit less the notice); slice_seconds: after how
    long it gives its place to others, None for as long as it may.
    """

    uids: tuple[str, ...]
    store: str
    device: str
    workers: int
    seconds: float
    slice_seconds: float | None
    requeue: bool
    logs: str
    commit: str  # of the code that submitted
    plugins: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    # what the plan called the runs, in the order of uids; () in jobs of older code
    labels: tuple[str, ...] = ()
    # the digests of what the runs read, as it was when they were submitted
    inputs: dict[str, str] = field(default_factory=dict)

    def __call__(self) -> dict[str, str]:
        """Work the runs off; returns their outcomes, or does not return because the job was requeued."""
        begin = float(os.environ.get(START) or time.time())
        os.environ.update(self.environment)
        # a forked child must not run submitit's handler, nor ours: the cluster signals every process of a job
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN))
        store = Store(Path(self.store))
        runs = [run for run in self._planned(store) if run.status not in SKIPPED]
        print(f"job {slurm_job()}: {len(runs)} of {len(self.uids)} runs to do", flush=True)
        if (now := commit()) != self.commit:
            print(f"bench: submitted by code {self.commit}, running code {now}", flush=True)
        if changed := described(changed_since(self.inputs, store)):
            what = "runs that begin now are made from what is here"
            print(f"bench: changed since the submission: {'; '.join(changed)}; {what}", flush=True)
        if not runs:
            return {}
        queue = Queue(
            store,
            runs,
            self._devices(),
            Plain(self._tally(store, runs), LOG_SECONDS),
            list(self.plugins),
            deadline=begin + min(self.seconds, self.slice_seconds or self.seconds),
            logs=Path(self.logs) / str(slurm_job()),
        )
        outcomes = queue.work()
        for note in queue.notes:
            print(note, flush=True)
        for run in queue.runs:
            if run.uid in outcomes:
                print(_ending(store, run, outcomes[run.uid]), flush=True)
        left = [run for run in runs if outcomes.get(run.uid, "stopped") == "stopped"]
        if left and queue.stopped_by in (signal.SIGUSR2, "deadline"):
            self._again(left, queue)
        return outcomes

    def _planned(self, store: Store) -> list[PlannedRun]:
        """The job's runs as the store has them, with their plan's labels."""
        labels = dict(zip(self.uids, self.labels, strict=False))
        runs = []
        for uid in self.uids:
            folder = store.folder(uid)
            spec = folder.spec()
            needs = tuple(source.uid for source in spec.run_sources.values())
            label = labels.get(uid) or f"{readable(spec.method)} · {spec.data.name} · seed {spec.seed}"
            runs.append(PlannedRun(spec, needs=needs, status=folder.status(), title=label))
        return runs

    def _tally(self, store: Store, runs: list[PlannedRun]) -> Tally:
        begun = {run.uid: store.folder(run.uid).saved_step() or 0 for run in runs}
        return Tally(runs, Estimates.measured(store, runs).seconds, self.workers, begun)

    def _devices(self) -> list[str]:
        """One per worker. A job that was promised GPUs and sees none ends here, so that its node gets the blame."""
        if self.device == "cpu":
            return ["cpu"] * self.workers
        found = slots(None)
        if not found[0].startswith("cuda"):
            raise RuntimeError(
                f"job {slurm_job()} asked for a GPU and sees none (CUDA_VISIBLE_DEVICES="
                f"{os.environ.get('CUDA_VISIBLE_DEVICES')!r}); ask for one in the profile, or set device: cpu"
            )
        return found

    def _again(self, left: list[PlannedRun], queue: Queue) -> None:
        """Put this very job back into the queue, if that can help and is allowed."""
        why = queue.stopped_by.name if isinstance(queue.stopped_by, signal.Signals) else "end of its time"
        if queue.stopped_by == "deadline" and not queue.progressed:
            print(f"job {slurm_job()}: not one step within its time; give it more (time, slice)", flush=True)
        elif not self.requeue:
            print(
                f"job {slurm_job()}: {why}: {counted(len(left))} left; submit again to continue", flush=True
            )
        else:
            print(f"job {slurm_job()}: {why}: {counted(len(left))} left, requeueing", flush=True)
            requeue_this_job()


def requeue_this_job() -> None:
    """Ask SLURM to start this job again and end. Returns only where SLURM refuses.

    The requeue itself sends SIGTERM to everything in the job, the asking client included: it is ignored from here.
    """
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    done = subprocess.run(["scontrol", "requeue", str(slurm_job())], capture_output=True, text=True)
    if done.returncode == 0:
        sys.stdout.flush()
        os._exit(0)  # no result file of submitit's: the job is not over
    print(
        f"the cluster refuses to requeue this job ({done.stderr.strip()}); submit again to continue",
        flush=True,
    )


def _ending(store: Store, run: PlannedRun, outcome: str) -> str:
    """How a run ended, and why where it failed."""
    reason = store.folder(run.uid).error() if outcome == "failed" else None
    return f"{outcome}: {run.label} ({run.uid})" + (f" {reason}" if reason else "")
