"""The local queue: runs go to reused worker processes as their sources are done; killed workers are
replaced.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.plan import PlannedRun
from bench.spec import RunSpec
from bench.store import RunBusyError, Store

DEATHS = 3  # a run whose workers were killed this often is left as failed
ABANDONED = ("planned", "interrupted", "lost")  # states of a source that nobody works on
BUSY_SECONDS = 5.0  # how often a run that somebody else works on is looked at again


class Watcher(Protocol):
    """What the queue tells whoever shows progress."""

    def started(self, run: PlannedRun) -> None: ...
    def stepped(self, run: PlannedRun, step: int, steps: int) -> None: ...
    def ended(self, run: PlannedRun, outcome: str) -> None: ...
    def tick(self) -> None: ...


@dataclass
class Worker:
    """One worker process and the run that it has."""

    process: subprocess.Popen[str]
    device: str
    events: int
    log: Path
    run: PlannedRun | None = None
    buffer: bytes = b""


@dataclass
class Queue:
    """Works a list of runs off on this machine.

    devices: one worker each ("cpu", "cpu" for two CPU slots; "cuda:0", "cuda:1" for two GPUs).
    """

    store: Store
    runs: list[PlannedRun]
    devices: list[str]
    watcher: Watcher
    plugins: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what workers had to say to the user

    def work(self) -> dict[str, str]:
        """Run everything; returns uid -> done, diverged, failed, stopped, blocked (a source failed) or busy.

        On SIGINT or SIGTERM the workers save and stop, and so does this; what had not started is left out.
        """
        for run in self.runs:
            self.store.open(run.spec)
        self.waiting = list(self.runs)
        self.mine = {run.uid for run in self.runs}
        self.deaths: Counter[str] = Counter()
        self.postponed: dict[str, float] = {}
        self.stopping = False
        self.started = 0
        self.selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for device in self.devices[: len(self.runs)]:
                self._start_worker(device)
            while self.workers:
                self._assign()
                for key, _ in self.selector.select(timeout=0.25):
                    self._read(key.data)
                self.watcher.tick()
        finally:
            for worker in self.workers:
                worker.process.terminate()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.outcomes

    # ---- assigning -------------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give every idle worker a run that is ready; send workers home when nothing is left for them."""
        for worker in [one for one in self.workers if one.run is None]:
            run = self._next_ready()
            if run is not None:
                self.waiting.remove(run)
                worker.run = run
                self.watcher.started(run)
                self._tell(worker, run.uid)
            elif self.stopping or not self._may_come():
                self._dismiss(worker)

    def _next_ready(self) -> PlannedRun | None:
        if self.stopping:
            return None
        needed = {
            uid: spec for run in self.waiting for uid, spec in zip(run.needs, _sources(run), strict=True)
        }
        states = {uid: self._state_of(uid) for uid in needed}
        for uid in [uid for uid, state in states.items() if state in ABANDONED]:
            self._adopt(PlannedRun(needed[uid]))
        for run in list(self.waiting):
            sources = [states.get(uid, "waiting") for uid in run.needs]
            if any(state in ("failed", "diverged", "blocked") for state in sources):
                self.waiting.remove(run)
                self._end(run, "blocked")
                continue
            postponed = time.monotonic() < self.postponed.get(run.uid, 0)
            if all(state == "done" for state in sources) and not postponed:
                return run
        return None

    def _state_of(self, uid: str) -> str:
        if uid in self.outcomes:
            return self.outcomes[uid]
        return "waiting" if uid in self.mine else self.store.folder(uid).status()

    def _adopt(self, run: PlannedRun) -> None:
        """Take over a source that somebody else was to train and has left unfinished."""
        self.store.open(run.spec)
        self.runs.append(run)
        self.mine.add(run.uid)
        self.waiting.insert(0, run)

    def _may_come(self) -> bool:
        """Whether a run can still become ready (its source is in work, or somebody else has it)."""
        return bool(self.waiting)

    # ---- workers ---------------------------------------------------------------------------------

    def _start_worker(self, device: str) -> None:
        read, write = os.pipe()
        self.started += 1
        log = self.store.root / "logs" / f"{socket.gethostname()}-{os.getpid()}-worker-{self.started}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "bench.launch.worker", "--store", str(self.store.root.resolve())]
        command += ["--device", device, "--events", str(write)]
        command += [word for plugin in self.plugins for word in ("--plugin", plugin)]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write],
                text=True,
                env=_environment(),
            )
        os.close(write)
        worker = Worker(process, device, read, log)
        self.workers.append(worker)
        self.selector.register(read, selectors.EVENT_READ, worker)

    def _tell(self, worker: Worker, text: str) -> None:
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(text + "\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: the closed event pipe brings us to _lost

    def _dismiss(self, worker: Worker) -> None:
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        self._forget(worker)
        worker.process.wait()
        self._close_log(worker)

    def _close_log(self, worker: Worker) -> None:
        """Pass on what the worker had to say to the user; an empty log goes."""
        text = worker.log.read_text(errors="replace")
        self.notes += [line for line in text.splitlines() if line.startswith("bench: ")]
        if not text:
            worker.log.unlink()

    def _forget(self, worker: Worker) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            self.selector.unregister(worker.events)
            os.close(worker.events)

    def _read(self, worker: Worker) -> None:
        data = os.read(worker.events, 65536)
        if not data:
            self._lost(worker)
            return
        *lines, worker.buffer = (worker.buffer + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if worker.run is None or event["event"] == "ready":
                continue
            if event["event"] == "step":
                self.watcher.stepped(worker.run, event["step"], event["steps"])
            else:
                run, worker.run = worker.run, None
                self._outcome(run, event["outcome"])

    def _outcome(self, run: PlannedRun, outcome: str) -> None:
        if outcome == "busy":
            self.postponed[run.uid] = time.monotonic() + BUSY_SECONDS
            self.waiting.append(run)
        elif outcome == "stopped" and not self.stopping:
            self.waiting.insert(0, run)  # only its worker was told to stop
        else:
            self._end(run, outcome)

    def _lost(self, worker: Worker) -> None:
        """A worker's pipe closed: it ended on a stop, or it was killed. A killed worker's run goes on
        elsewhere.
        """
        code = worker.process.wait()
        self._forget(worker)
        self._close_log(worker)
        run = worker.run
        if run is not None and not self.stopping:
            self.deaths[run.uid] += 1
            if self.deaths[run.uid] < DEATHS:
                self.waiting.insert(0, run)
            else:
                reason = f"its worker ended {DEATHS} times (last exit status {code}); see {worker.log}"
                _record_death(self.store, run.uid, reason)
                self._end(run, "failed")
        elif run is not None:
            self._end(run, "stopped")
        if not self.stopping and self.waiting:
            self._start_worker(worker.device)

    def _end(self, run: PlannedRun, outcome: str) -> None:
        self.outcomes[run.uid] = outcome
        self.watcher.ended(run, outcome)

    def _stop(self, *_: object) -> None:
        self.stopping = True
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM)


def _sources(run: PlannedRun) -> list[RunSpec]:
    return list(run.spec.run_sources.values())


def _record_death(store: Store, uid: str, reason: str) -> None:
    folder = store.folder(uid)
    try:
        with folder.lease():
            folder.fail(reason)
    except RunBusyError:
        return


def _environment() -> dict[str, str]:
    """The worker's environment: it finds this very package, and numeric libraries start one thread each."""
    package = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def slots(jobs: int | None) -> list[str]:
    """One device per worker: the visible GPUs, else CPU slots (`jobs` of them, default one per core)."""
    gpus = _gpu_count()
    if gpus:
        return [f"cuda:{index}" for index in range(min(gpus, jobs or gpus))]
    return ["cpu"] * (jobs or len(os.sched_getaffinity(0)))


def _gpu_count() -> int:
    """How many NVIDIA GPUs a worker may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0
