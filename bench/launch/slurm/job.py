"""What a cluster job does: works its runs off with the local queue, saves when its time is over, and requeues itself.

All progress is in the store. A job may therefore be started again at any time from the pickle that it was submitted
with: it skips runs that are done and continues those that were interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.launch.local.admission import MemoryBudget
from bench.launch.local.devices import PerGpu, sharing_words, slots
from bench.launch.local.gpu_load import GpuLoad
from bench.launch.local.queue import Queue
from bench.launch.local.remote import at_node, other_nodes
from bench.launch.progress import Plain, Tally, counted
from bench.launch.slurm.job_notices import JobNotices
from bench.machine.host import slurm_job
from bench.machine.nvml import BrokenGpuError
from bench.machine.provenance import commit
from bench.plan.estimate import Estimates
from bench.plan.inputs import changed_since, described
from bench.plan.schedule import PlannedRun
from bench.spec.run import RunSpec
from bench.store.runs import Store

START = "BENCH_JOB_START"  # set by the batch script: seconds since the epoch when the job began
LOG_SECONDS = 60.0  # a progress line a minute
# A failed run is tried again only after `--retry`, which clears its failure
SKIPPED = ("done", "diverged", "failed")


@dataclass(frozen=True)
class TableJob:
    """The runs of one job, which submitit calls on the node.

    seconds: how long the job may work before it saves, its time limit less the notice. slice_seconds: after how long it
    gives its place to others; None if it need not.
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
    # the plan's labels of the runs, in the order of uids; () in jobs of older code
    labels: tuple[str, ...] = ()
    # the digests of the runs' inputs at the time of the submission
    inputs: dict[str, str] = field(default_factory=dict)
    # how many devices train a run together, by its uid; of a run that is left out, one
    gpus: dict[str, int] = field(default_factory=dict)
    runs_per_gpu: PerGpu = 1  # in jobs of older code a GPU has one
    nodes: int = 1  # each with so many workers
    step_options: tuple[str, ...] = ()  # the profile's, of srun

    def __call__(self) -> dict[str, str]:
        """Work the runs off, and return their outcomes; does not return if the job is requeued."""
        begin = float(os.environ.get(START) or time.time())
        os.environ.update(self.environment)
        # A forked child must run neither submitit's handler nor ours: the cluster signals every process of a job
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN))
        # What there is to do, and whether code or inputs have changed since the submission
        store = Store(Path(self.store))
        runs = [run for run in self.planned(store) if run.status not in SKIPPED]
        print(f"job {slurm_job()}: {len(runs)} of {len(self.uids)} runs to do", flush=True)
        if (now := commit()) != self.commit:
            print(f"bench: submitted by code {self.commit}, running code {now}", flush=True)
        if changed := described(changed_since(self.inputs, store)):
            what = "runs that begin now are made from what is here"
            print(f"bench: changed since the submission: {'; '.join(changed)}; {what}", flush=True)
        if not runs:
            return {}
        # Work until the runs are over, the deadline comes or the cluster sends its notice
        devices, notices = self._devices(), JobNotices(store, Path(self.logs).parent)
        if (shared := sharing_words(devices)) is not None:
            print(shared, flush=True)
        queue = Queue(
            store,
            runs,
            devices,
            notices.watching(JobLog(self._tally(store, runs), store)),
            list(self.plugins),
            deadline=begin + min(self.seconds, self.slice_seconds or self.seconds),
            logs=Path(self.logs) / str(slurm_job()),
            budget=self._budget(store, runs),
            step_options=self.step_options,
        )
        outcomes = queue.work()
        for note in queue.notes:
            print(note, flush=True)
        notices.close()
        # With runs left the job queues again
        left = [run for run in runs if outcomes.get(run.uid, "stopped") == "stopped"]
        if left and queue.stopped_by in (signal.SIGUSR2, "deadline"):
            self._again(left, queue)
        return outcomes

    def planned(self, store: Store) -> list[PlannedRun]:
        """The job's runs as the store has them, with their plan's labels and numbers of devices."""
        labels = dict(zip(self.uids, self.labels, strict=False))
        runs = []
        for uid in self.uids:
            folder = store.folder(uid)
            spec = on_devices(folder.spec(), self.gpus.get(uid, 1))
            needs = tuple(source.uid for source in spec.run_sources.values())
            label = labels.get(uid) or f"{spec.about} · {spec.data.name} · seed {spec.seed}"
            runs.append(PlannedRun(spec, needs=needs, status=folder.status(), title=label))
        return runs

    def _tally(self, store: Store, runs: list[PlannedRun]) -> Tally:
        begun = {run.uid: store.folder(run.uid).saved_step() or 0 for run in runs}
        return Tally(runs, Estimates.measured(store, runs).seconds, self.workers * self.nodes, begun)

    def _budget(self, store: Store, runs: list[PlannedRun]) -> MemoryBudget:
        """Who may start beside whom on a shared GPU; all of them where none is shared, as the profile gives memory."""
        if self.runs_per_gpu == 1:
            return MemoryBudget()
        load = GpuLoad(store, Estimates.measured(store, runs))
        return MemoryBudget(load=load, measured_only=self.runs_per_gpu == "auto")

    def _devices(self) -> list[str]:
        """One device per worker, those of this node first; the others are taken to have as many."""
        here = self._devices_here()
        others = other_nodes() if self.nodes > 1 else []
        return [*here, *(at_node(device, node) for node in others for device in here)]

    def _devices_here(self) -> list[str]:
        """Those of this node. Raises RuntimeError in a job that was to have GPUs and sees none."""
        if self.device == "cpu":
            return ["cpu"] * self.workers
        try:
            return slots(self.workers if self.runs_per_gpu != 1 else None, "cuda", self.runs_per_gpu)
        except BrokenGpuError as error:
            raise RuntimeError(
                f"job {slurm_job()} asked for a GPU and sees none (CUDA_VISIBLE_DEVICES="
                f"{os.environ.get('CUDA_VISIBLE_DEVICES')!r}; {error}); ask for one in the profile, or set device: cpu"
            ) from error

    def _again(self, left: list[PlannedRun], queue: Queue) -> None:
        """Put this job back into the queue, if the profile allows it and it made any progress."""
        why = queue.stopped_by.name if isinstance(queue.stopped_by, signal.Signals) else "end of its time"
        if queue.stopped_by == "deadline" and not queue.progressed:
            print(f"job {slurm_job()}: not one step within its time; give it more (time, slice)", flush=True)
        elif not self.requeue:
            print(f"job {slurm_job()}: {why}: {counted(len(left))} left; submit again to continue", flush=True)
        else:
            print(f"job {slurm_job()}: {why}: {counted(len(left))} left, requeueing", flush=True)
            requeue_this_job()


def on_devices(spec: RunSpec, gpus: int) -> RunSpec:
    """The spec, to be trained by so many devices together: a store does not keep that, as it is no part of a run."""
    if spec.train is None or gpus == 1:
        return spec
    return spec.model_copy(update={"train": spec.train.model_copy(update={"gpus": gpus})})


class JobLog(Plain):
    """Progress in a job's log: a summary a minute, and how each run ended, when it does."""

    def __init__(self, tally: Tally, store: Store) -> None:
        super().__init__(tally, LOG_SECONDS)
        self.store = store

    def ended(self, run: PlannedRun, outcome: str) -> None:
        """Note it, and print how the run ended, with its id, and why where it failed."""
        self.tally.over(run, outcome)
        reason = self.store.folder(run.uid).error() if outcome == "failed" else None
        print(f"{outcome}: {run.label} ({run.uid})" + (f" {reason}" if reason else ""), flush=True)


def requeue_this_job() -> None:
    """Ask SLURM to start this job again, and end. Returns only if SLURM refuses.

    The requeue sends SIGTERM to every process of the job, scontrol included; from here on that signal is ignored.
    """
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    done = subprocess.run(["scontrol", "requeue", str(slurm_job())], capture_output=True, text=True)
    if done.returncode == 0:
        sys.stdout.flush()
        os._exit(0)  # without submitit's result file, because the job is not over
    print(
        f"the cluster refuses to requeue this job ({done.stderr.strip()}); submit again to continue",
        flush=True,
    )
