"""A run whose worker is killed beside others, as the kernel does it when memory runs out, is tried again alone."""

from __future__ import annotations

import os
import signal

import pytest

from bench.launch.local.queue import Queue
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store


class Kills:
    """A watcher that kills the worker of a run at its first step, once, and keeps which runs were at work together."""

    def __init__(self, store, uid):
        self.store, self.uid, self.killed = store, uid, False
        self.at_work, self.together, self.said_lines = set(), [], []

    def started(self, run):
        self.at_work.add(run.uid)
        self.together.append(frozenset(self.at_work))

    def stepped(self, run, step, steps):
        if run.uid == self.uid and not self.killed and len(self.at_work) > 1:
            self.killed = True
            self.at_work.discard(self.uid)
            os.kill(self.store.folder(run.uid).heartbeat()["pid"], signal.SIGKILL)

    def ended(self, run, outcome):
        self.at_work.discard(run.uid)

    def said(self, text):
        self.said_lines.append(text)

    def tick(self):
        pass


@pytest.mark.slow
def test_a_run_that_was_killed_beside_others_goes_on_alone(tiny_spec, store_root):
    store = Store(store_root)
    runs = [PlannedRun(tiny_spec(seed=seed, steps=30)) for seed in range(3)]
    watcher = Kills(store, runs[0].uid)
    outcomes = Queue(store, runs, ["cpu", "cpu"], watcher).work()
    assert set(outcomes.values()) == {"done"} and len(outcomes) == 3 and watcher.killed
    (again,) = [together for together in watcher.together[1:] if runs[0].uid in together and len(together) == 1]
    assert again == {runs[0].uid}
    (line,) = watcher.said_lines
    assert line.endswith("its worker ended (signal 9); it goes on in a new one, alone: memory may have run out")
