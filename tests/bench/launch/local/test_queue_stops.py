"""What ends a queue or a run early: a deadline, a cluster's notice, a request to stop, a lack of memory."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bench.launch.local import queue as local
from bench.launch.local.admission import MemoryBudget
from bench.launch.local.queue import Queue
from bench.launch.local.starter import Starter
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

SLOW = '''
import time
from bench.train import Method


class Slow(Method):
    """It takes its time."""

    def __init__(self, *, seconds: float = 0.05):
        self.seconds = seconds

    def after_step(self, ctx):
        time.sleep(self.seconds)
        return {}
'''


class Watch:
    """Calls a function at each step and keeps who worked at the same time."""

    def __init__(self, on_step=lambda run, step: None):
        self.on_step, self.active, self.most = on_step, set(), 0

    def started(self, run):
        self.active.add(run.uid)
        self.most = max(self.most, len(self.active))

    def stepped(self, run, step, steps):
        self.on_step(run, step)

    def ended(self, run, outcome):
        self.active.discard(run.uid)

    def said(self, text):
        pass

    def tick(self):
        pass


@pytest.fixture
def slow(tiny_spec, load_plugin, tmp_path):
    load_plugin(SLOW, "slow.py")

    def make(count, steps=100, first=0, method="slow"):
        seeds = range(first, first + count)
        return [PlannedRun(tiny_spec(f"{method} + baseline", seed=seed, steps=steps)) for seed in seeds]

    return make


@pytest.fixture
def queue_of(store_root, tmp_path):
    def make(runs, watcher, devices=1, **settings):
        store = Store(store_root)
        return Queue(store, runs, ["cpu"] * devices, watcher, [str(tmp_path / "slow.py")], **settings)

    return make


def test_at_the_deadline_everything_saves_and_stops(slow, queue_of):
    runs = slow(2)
    queue = queue_of(runs, Watch())

    def soon(run, step):
        if queue.deadline is None:
            queue.deadline = time.time() + 0.2

    queue.watcher.on_step = soon
    assert queue.work() == {runs[0].uid: "stopped"}, "the second had not started"
    assert queue.stopped_by == "deadline" and queue.progressed
    folder = queue.store.folder(runs[0].uid)
    assert folder.status() == "interrupted" and 0 < folder.heartbeat()["step"] < 100
    assert any(folder.state.glob("step-*.pt"))


def test_a_deadline_that_has_passed_lets_nothing_start(slow, queue_of):
    queue = queue_of(slow(1), Watch(), deadline=time.time() - 1)
    assert queue.work() == {} and queue.stopped_by == "deadline" and not queue.progressed


def test_the_notice_of_a_cluster_stops_the_queue(slow, queue_of):
    runs = slow(1)
    queue = queue_of(runs, Watch(lambda run, step: os.kill(os.getpid(), signal.SIGUSR2)))
    before = signal.getsignal(signal.SIGUSR2)
    assert queue.work() == {runs[0].uid: "stopped"} and queue.stopped_by == signal.SIGUSR2
    assert signal.getsignal(signal.SIGUSR2) is before


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_storm_of_signals_stops_a_worker_once(method, slow, store_root, tmp_path, monkeypatch):
    """The cluster signals every process and the queue its workers: a handler runs inside another one."""
    (run,) = slow(1, steps=400)
    Store(store_root).open(run.spec)
    monkeypatch.setenv("BENCH_WORKERS", method)
    starter = Starter(store_root, tmp_path / "logs", ["cpu"], [str(tmp_path / "slow.py")], pytest.fail)
    worker = starter.start("cpu")
    worker.send(run.uid)
    heard = []
    while not any(event["event"] == "step" for event in heard):
        events = worker.receive()  # waits for some
        assert events is not None, worker.last_words()
        heard += events
    for index in range(5_000):
        worker.process.send_signal((signal.SIGUSR2, signal.SIGTERM)[index % 2])
    while (more := worker.receive()) is not None:
        heard += more
    assert heard[-1] == {"event": "outcome", "uid": run.uid, "outcome": "stopped"}
    assert worker.close() == (0, [])
    starter.close()


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_is_left_and_the_others_go_on(slow, queue_of):
    runs = slow(3, steps=20, method="slow(seconds=0.2)")  # longer than the workers look away
    store = queue_of([], Watch()).store
    store.open(runs[2].spec).request_stop()
    asked = []

    def ask(run, step):
        if run.uid == runs[0].uid and not asked:
            store.folder(run.uid).request_stop()
            asked.append(step)

    assert queue_of(runs, Watch(ask)).work() == {
        runs[0].uid: "cancelled", runs[1].uid: "done", runs[2].uid: "cancelled",
    }  # fmt: skip
    first, last = store.folder(runs[0].uid), store.folder(runs[2].uid)
    assert 0 < first.heartbeat()["step"] < 20 and first.status() == "interrupted"
    assert last.heartbeat() is None, "it was never begun"
    first.mark_queued()
    last.mark_queued()
    assert set(queue_of([runs[0], runs[2]], Watch(), devices=2).work().values()) == {"done"}


@pytest.mark.slow
def test_runs_wait_for_memory_and_all_end(slow, queue_of, monkeypatch):
    """A need that leaves room for one only: two workers, never two runs."""
    runs = slow(2, steps=5)
    much = 10**15
    watch = Watch()
    assert set(queue_of(runs, watch, devices=2, budget=MemoryBudget(lambda run: much)).work().values()) == {"done"}
    assert watch.most == 1
    again = Watch()
    queue_of(slow(2, steps=5, first=10), again, devices=2, budget=MemoryBudget(lambda run: 1)).work()
    assert again.most == 2


def test_a_worker_that_dies_again_and_again_is_the_machines_failure(slow, queue_of, monkeypatch):
    monkeypatch.setattr(local, "DEATHS", 1)
    runs = slow(1)
    store = queue_of([], Watch()).store
    kill = Watch(lambda run, step: os.kill(store.folder(run.uid).heartbeat()["pid"], signal.SIGKILL))
    assert queue_of(runs, kill).work() == {runs[0].uid: "failed"}
    folder = store.folder(runs[0].uid)
    assert folder.cause() == "machine" and "last signal 9" in folder.error()
