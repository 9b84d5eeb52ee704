"""The queue of runs on one machine, which hands them to worker processes.

A run starts when its sources are done. Workers are reused for many runs, and killed ones are replaced. `bench run`
works a table off with it, a cluster job its part of a table.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.launch.local.admission import AtWork, MemoryBudget
from bench.launch.local.crew import Crew, crew_for, refuse_too_few
from bench.launch.local.starter import Starter
from bench.launch.local.watcher import Watcher
from bench.launch.local.worker_handle import Worker, how_it_ended
from bench.plan.inputs import Machine
from bench.plan.schedule import PlannedRun
from bench.spec.run import RunSpec
from bench.store.lease import RunBusyError, RunGoneError
from bench.store.runs import Store

DEATHS = 3  # after so many killed workers a run counts as failed
USELESS = ("failed", "diverged", "blocked", "cancelled", "stale")  # states of a source that nothing can start from
ABANDONED = ("planned", "interrupted", "lost")  # states of a source that nobody works on
BUSY_SECONDS = 5.0  # between two tries of a run that another process works on
STOPPING = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGUSR2,
)  # SIGUSR2 is the cluster's notice that the time is nearly over


@dataclass
class Queue:
    """Works a list of runs off on this machine.

    devices: one worker each ("cpu", "cpu" for two CPU slots; "cuda:0", "cuda:1@n2" for two GPUs, one on another node of
    the job, where srun starts its worker with step_options).
    deadline: the time.time() at which everything saves and stops, as on a signal; None for never.
    """

    store: Store
    runs: list[PlannedRun]
    devices: list[str]
    watcher: Watcher
    plugins: list[str] = field(default_factory=list)
    deadline: float | None = None
    logs: Path | None = None  # where workers' output goes; default: the store's logs folder
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    step_options: tuple[str, ...] = ()
    outcomes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what workers had to say to the user
    stopped_by: signal.Signals | str | None = None  # the first signal, or "deadline"
    progressed: bool = False  # whether any run made a step or ended
    stop_sent: bool = field(default=False, init=False)  # whether the workers know

    def work(self) -> dict[str, str]:
        """Work all runs off, and return the outcome of each, uid -> outcome.

        Outcomes are done, diverged, failed, stopped, cancelled, stale and blocked (a source failed or is stale). On a
        signal of STOPPING or at the deadline the workers save and stop, and the queue ends. Runs that had not started
        then have no outcome.
        """
        for run in self.runs:
            self.store.open(run.spec)
        self.waiting = list(self.runs)
        self.mine = {run.uid for run in self.runs}
        self.deaths: Counter[str] = Counter()
        self.postponed: dict[str, float] = {}
        self.alone: set[str] = set()  # runs whose worker was killed beside others, perhaps for want of memory
        self.selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        refuse_too_few(self.runs, self.devices)
        devices = self.devices[: sum(run.gpus for run in self.runs)]
        logs = self.logs or self.store.root / "logs"
        self.starter = Starter(self.store.root, logs, devices, self.plugins, self.watcher.said, self.step_options)
        previous = {number: signal.signal(number, self._on_signal) for number in STOPPING}
        try:
            for device in devices:
                self._start_worker(device)
            # A worker leaves the list when nothing can come for it, so the loop ends when all runs are over
            while self.workers:
                if self.deadline is not None and time.time() >= self.deadline:
                    self.stop("deadline")
                self._send_stop()
                self._assign()
                for worker in self.workers:
                    if worker.crew is not None:
                        worker.crew.end_overdue()
                for key, _ in self.selector.select(timeout=0.25):
                    self._read(key.data)
                self.watcher.tick()
        finally:
            # On an exception no worker may survive this process, and the caller gets its signal handlers back
            for worker in self.workers:
                worker.process.terminate()
            self.starter.close()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.outcomes

    @property
    def stopping(self) -> bool:
        """Whether the queue ends early, by a signal or at its deadline."""
        return self.stopped_by is not None

    def stop(self, why: signal.Signals | str) -> None:
        """Make the workers save at their next step boundary and end."""
        if self.stopped_by is None:
            self.stopped_by = why

    def _send_stop(self) -> None:
        """Stop the workers, once; not in `stop`, which a signal may call in the middle of a message to the template."""
        if self.stopping and not self.stop_sent:
            self.stop_sent = True
            for worker in self.workers:
                worker.process.terminate()

    def _on_signal(self, number: int, _: object) -> None:
        self.stop(signal.Signals(number))

    # ---- assigning -------------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give every idle worker a run that is ready, and stop workers for which nothing is left."""
        for worker in [worker for worker in self.workers if worker.run is None]:
            if worker.run is not None:
                continue  # taken into a crew just now
            run = self._next_ready()
            if run is not None and self._fits(run, worker):
                if (members := crew_for(run, worker, self.workers)) is None:
                    self._start_missing()
                    return  # no later run goes before one that waits for more devices
                self.waiting.remove(run)
                self.watcher.started(run)
                if len(members) > 1:
                    Crew(run, members).begin()
                else:
                    worker.run = run
                    worker.send(run.uid)
            elif run is None and (self.stopping or not self._may_come()):
                worker.stop()
                self._close(worker)

    def _fits(self, run: PlannedRun, worker: Worker) -> bool:
        """Whether the run may start beside those at work: there is memory for it, and none of them has to be alone."""
        others = [AtWork(one.process.pid, one.run, one.device) for one in self.workers if one.run is not None]
        if others and any(one.exclusive or one.uid in self.alone for one in (run, *(other.run for other in others))):
            return False
        return self.budget.fits(run, worker.device, others)

    def _next_ready(self) -> PlannedRun | None:
        if self.stopping:
            return None
        # Sources whose trainer has left them unfinished are trained here
        needed = {uid: spec for run in self.waiting for uid, spec in zip(run.needs, _specs(run.spec), strict=True)}
        states = {uid: self._state_of(uid) for uid in needed}
        for uid in [uid for uid, state in states.items() if state in ABANDONED]:
            self._adopt(PlannedRun(needed[uid], needs=tuple(source.uid for source in _specs(needed[uid]))))
        # The first run whose sources are done; those whose sources cannot be had are blocked
        for run in list(self.waiting):
            sources = [_as_source(run, uid, states.get(uid, "waiting")) for uid in run.needs]
            if any(state in USELESS for state in sources):
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
        """Take over a source that another process has left unfinished."""
        self.store.open(run.spec)
        self.runs.append(run)
        self.mine.add(run.uid)
        try:
            refuse_too_few([run], self.devices)
        except UserError as error:
            self._give_up(run, str(error))
        else:
            self.waiting.insert(0, run)

    def _may_come(self) -> bool:
        """Whether a run can still become ready, because its source or the run itself is at work elsewhere."""
        return bool(self.waiting)

    # ---- workers ---------------------------------------------------------------------------------

    def _start_worker(self, device: str) -> None:
        worker = self.starter.start(device)
        self.workers.append(worker)
        self.selector.register(worker.events, selectors.EVENT_READ, worker)

    def _start_missing(self) -> None:
        """Start the workers that a run waits for: they were stopped when nothing seemed left, or not needed yet."""
        for device in (Counter(self.devices) - Counter(worker.device for worker in self.workers)).elements():
            self._start_worker(device)

    def _close(self, worker: Worker) -> int | None:
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
            if event["event"] == "meet" and worker.crew is not None:
                worker.crew.meet(event["address"])
            if worker.run is None or event["event"] in ("ready", "meet"):
                continue
            if worker.crew is not None and self._left(worker, worker.crew, event):
                continue
            self.progressed = True
            if event["event"] == "step":
                self.watcher.stepped(worker.run, event["step"], event["steps"])
            else:
                run, worker.run = worker.run, None
                self._outcome(run, event["outcome"])

    def _left(self, worker: Worker, crew: Crew, event: dict[str, Any]) -> bool:
        """Take a worker out of its crew when it has done its part; whether its event says nothing of the run."""
        if event["event"] == "outcome":
            worker.crew = None
            if crew.leads(worker) and event["outcome"] == "stopped" and not self.stopping and crew.breaks():
                self.deaths[crew.run.uid] += 1  # it came apart, though no process has ended
            elif not crew.leads(worker):
                worker.run = None
        return not crew.leads(worker)

    def _outcome(self, run: PlannedRun, outcome: str) -> None:
        if outcome == "busy":
            self.postponed[run.uid] = time.monotonic() + BUSY_SECONDS
            self.waiting.append(run)
        elif outcome == "stopped" and not self.stopping:
            if self.deaths[run.uid] < DEATHS:
                self.waiting.insert(0, run)  # only its worker was stopped, by somebody else
            else:
                self._give_up(run, f"the processes that train it together came apart {DEATHS} times")
        else:
            self._end(run, outcome)

    def _lost(self, worker: Worker) -> None:
        """Handle the end of a worker, whose pipe is closed; if it was killed, its run continues in a new worker."""
        code, run = self._close(worker), worker.run
        crew, worker.crew = worker.crew, None
        if crew is not None and run is not None and not self._ends_with(worker, crew, code):
            run = None
        if run is not None and not self.stopping:
            if not worker.ready and code is None:
                # Its template ended before it was forked: the next one does without
                self.waiting.insert(0, run)
            elif not worker.ready and code is not None and code > 0:
                # It failed before it was ready for any run, and a new worker would fail in the same way
                self.deaths[run.uid] += 1
                self._give_up(run, f"its worker could not start: {worker.last_words()}")
            else:
                self._died(run, code, worker.log)
        elif run is not None:
            self._end(run, "stopped")
        if not self.stopping and (self.waiting or crew is not None):
            self._start_worker(worker.device)

    def _ends_with(self, worker: Worker, crew: Crew, code: int | None) -> bool:
        """Whether the loss of one of a crew's workers is to be handled as that of its run."""
        first = crew.breaks()
        if crew.leads(worker):
            if not first:
                self.deaths[crew.run.uid] -= 1  # one loss, which `_died` counts again
            return True
        if not self.stopping and first:
            self.deaths[crew.run.uid] += 1
            self.watcher.said(
                f"{crew.run.label}: one of its {len(crew.members)} workers ended ({how_it_ended(code)}); it goes on "
                "from its last checkpoint"
            )
        return False

    def _died(self, run: PlannedRun, code: int | None, log: Path) -> None:
        """Let a run whose worker was killed go on in another, unless it kills them all."""
        self.deaths[run.uid] += 1
        if self.deaths[run.uid] < DEATHS:
            alone = code == -signal.SIGKILL and any(worker.run is not None for worker in self.workers)
            self.alone |= {run.uid} if alone else set()
            how = "; it goes on in a new one" + (", alone: memory may have run out" if alone else "")
            self.watcher.said(f"{run.label}: its worker ended ({how_it_ended(code)}){how}")
            self.waiting.insert(0, run)
        else:
            self._give_up(run, f"its worker ended {DEATHS} times (last {how_it_ended(code)})", log)

    def _give_up(self, run: PlannedRun, reason: str, log: Path | None = None) -> None:
        record_death(self.store, run.uid, f"{reason}; see {log}" if log else reason)
        self._end(run, "failed")

    def _end(self, run: PlannedRun, outcome: str) -> None:
        self.outcomes[run.uid] = outcome
        self.watcher.ended(run, outcome)


def _specs(run: RunSpec) -> list[RunSpec]:
    return list(run.run_sources.values())


def _as_source(run: PlannedRun, uid: str, state: str) -> str:
    """The state of a source as a run sees it: the evaluation of a run that has diverged goes on to record that."""
    evaluated = run.spec.evaluated
    return "done" if state == "diverged" and evaluated is not None and evaluated.uid == uid else state


def record_death(store: Store, uid: str, reason: str) -> None:
    """Record a run as failed because of the machine.

    The cause may also be a method that takes all memory: from here the two cannot be told apart.
    """
    folder = store.folder(uid)
    try:
        with folder.lease():
            folder.fail(reason, "machine")
    except (RunBusyError, RunGoneError):
        return
