"""The queue over one machine's devices: runs go to reused worker processes as their sources are done; killed
workers are replaced. `bench run` works a table off with it, a cluster job its share of one.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.launch.local.admission import MemoryBudget
from bench.launch.local.worker_handle import Worker
from bench.plan.inputs import Machine
from bench.plan.runs import PlannedRun
from bench.spec.run import RunSpec
from bench.store.lease import RunBusyError, RunGoneError
from bench.store.runs import Store

DEATHS = 3  # a run whose workers were killed this often is left as failed
ABANDONED = ("planned", "interrupted", "lost")  # states of a source that nobody works on
BUSY_SECONDS = 5.0  # how often a run that somebody else works on is looked at again
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # the last is a cluster's notice


class Watcher(Protocol):
    """What the queue tells whoever shows progress."""

    def started(self, run: PlannedRun) -> None: ...
    def stepped(self, run: PlannedRun, step: int, steps: int) -> None: ...
    def ended(self, run: PlannedRun, outcome: str) -> None: ...
    def said(self, text: str) -> None: ...
    def tick(self) -> None: ...


@dataclass
class Queue:
    """Works a list of runs off on this machine.

    devices: one worker each ("cpu", "cpu" for two CPU slots; "cuda:0", "cuda:1" for two GPUs).
    deadline: time.time() at which everything saves and stops, as on a signal; None for never.
    """

    store: Store
    runs: list[PlannedRun]
    devices: list[str]
    watcher: Watcher
    plugins: list[str] = field(default_factory=list)
    deadline: float | None = None
    logs: Path | None = None  # where workers' output goes; default: the store's logs folder
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    outcomes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what workers had to say to the user
    stopped_by: signal.Signals | str | None = None  # the first signal, or "deadline"
    progressed: bool = False  # whether any run made a step or ended

    def work(self) -> dict[str, str]:
        """Run everything; returns uid -> done, diverged, failed, stopped, cancelled, stale, blocked (a source failed
        or is stale).

        On a signal of STOPPING or at the deadline the workers save and stop, and so does this; what had not
        started is left out.
        """
        for run in self.runs:
            self.store.open(run.spec)
        self.waiting = list(self.runs)
        self.mine = {run.uid for run in self.runs}
        self.deaths: Counter[str] = Counter()
        self.postponed: dict[str, float] = {}
        self.started = 0
        self.selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        previous = {number: signal.signal(number, self._on_signal) for number in STOPPING}
        try:
            for device in self.devices[: len(self.runs)]:
                self._start_worker(device)
            while self.workers:
                if self.deadline is not None and time.time() >= self.deadline:
                    self.stop("deadline")
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

    @property
    def stopping(self) -> bool:
        """Whether the queue has been told to end early."""
        return self.stopped_by is not None

    def stop(self, why: signal.Signals | str) -> None:
        """Let the workers save at their next step boundary and end."""
        if self.stopped_by is None:
            self.stopped_by = why
            for worker in self.workers:
                worker.process.send_signal(signal.SIGTERM)

    def _on_signal(self, number: int, _: object) -> None:
        self.stop(signal.Signals(number))

    # ---- assigning -------------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give every idle worker a run that is ready; send workers home when nothing is left for them."""
        for worker in [one for one in self.workers if one.run is None]:
            run = self._next_ready()
            if run is not None and self._fits(run, worker):
                self.waiting.remove(run)
                worker.run = run
                self.watcher.started(run)
                worker.send(run.uid)
            elif run is None and (self.stopping or not self._may_come()):
                worker.stop()
                self._close(worker)

    def _fits(self, run: PlannedRun, worker: Worker) -> bool:
        """Whether there is memory for the run beside those at work (the first of all always starts on a CPU)."""
        others = [(one.process.pid, one.run) for one in self.workers if one.run is not None]
        return self.budget.fits(run, worker.device, others)

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
            if any(state in ("failed", "diverged", "blocked", "cancelled", "stale") for state in sources):
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
        return "waiting" if uid in self.mine else Machine(self.store).status(self.store.folder(uid))

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
        self.started += 1
        logs = self.logs or self.store.root / "logs"
        worker = Worker.start(device, self.store.root, logs, self.started, self.plugins)
        self.workers.append(worker)
        self.selector.register(worker.events, selectors.EVENT_READ, worker)

    def _close(self, worker: Worker) -> int:
        self.workers.remove(worker)
        self.selector.unregister(worker.events)
        status, notes = worker.close()
        self.notes += notes
        return status

    def _read(self, worker: Worker) -> None:
        events = worker.receive()
        if events is None:
            self._lost(worker)
            return
        for event in events:
            if event["event"] == "ready":
                worker.ready = True
            if worker.run is None or event["event"] == "ready":
                continue
            self.progressed = True
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
        """A worker's pipe closed: it ended on a stop, it could not start, or it was killed. A killed worker's run
        goes on elsewhere.
        """
        code, run = self._close(worker), worker.run
        if run is not None and not self.stopping:
            self.deaths[run.uid] += 1
            if (
                not worker.ready and code > 0
            ):  # an error of its own before it took any run: it would come again
                self._give_up(run, f"its worker could not start: {worker.last_words()}")
            elif self.deaths[run.uid] < DEATHS:
                how = f"signal {-code}" if code < 0 else f"exit status {code}"
                self.watcher.said(f"{run.label}: its worker ended ({how}); it goes on in a new one")
                self.waiting.insert(0, run)
            else:
                self._give_up(run, f"its worker ended {DEATHS} times (last exit status {code})", worker.log)
        elif run is not None:
            self._end(run, "stopped")
        if not self.stopping and self.waiting:
            self._start_worker(worker.device)

    def _give_up(self, run: PlannedRun, reason: str, log: Path | None = None) -> None:
        _record_death(self.store, run.uid, f"{reason}; see {log}" if log else reason)
        self._end(run, "failed")

    def _end(self, run: PlannedRun, outcome: str) -> None:
        self.outcomes[run.uid] = outcome
        self.watcher.ended(run, outcome)


def _sources(run: PlannedRun) -> list[RunSpec]:
    return list(run.spec.run_sources.values())


def _record_death(store: Store, uid: str, reason: str) -> None:
    """Nobody can tell a method that takes all memory from a machine that kills: the machine did it, says the record."""
    folder = store.folder(uid)
    try:
        with folder.lease():
            folder.fail(reason, "machine")
    except (RunBusyError, RunGoneError):
        return
