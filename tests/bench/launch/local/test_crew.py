"""Runs that several workers of a queue train together: what a killed worker and too few devices do to them."""

from __future__ import annotations

import os
import random
import signal
from types import SimpleNamespace

import pytest

from bench.conformance.cases import conformance_spec
from bench.errors import UserError
from bench.launch.local.crew import crew_for, refuse_too_few
from bench.launch.local.queue import Queue
from bench.plan.schedule import PlannedRun
from bench.spec.run import RunSpec
from bench.store.runs import Store


class Watcher:
    """It does something at every tick of a queue, and keeps what the queue says."""

    def __init__(self, on_tick=lambda: None):
        self.on_tick, self.lines = on_tick, []

    def started(self, run):
        """Not looked at."""

    def stepped(self, run, step, steps):
        """Not looked at."""

    def ended(self, run, outcome):
        """Not looked at."""

    def said(self, text):
        self.lines.append(text)

    def tick(self):
        self.on_tick()


def spec_of(gpus: int, steps: int = 24) -> RunSpec:
    whole = conformance_spec("diffaugment + unconditional", "stylegan2-32")
    assert whole.train is not None
    train = whole.train.model_copy(update={"steps": steps, "batch": 8, "d_steps": 1, "gpus": gpus})
    return whole.model_copy(update={"train": train})


def test_the_number_of_devices_is_no_part_of_a_run():
    assert spec_of(1).uid == spec_of(2).uid and "gpus" not in spec_of(2).canonical()


@pytest.mark.slow
def test_a_run_of_which_a_worker_is_killed_goes_on_to_the_same_record(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    run = PlannedRun(spec_of(2))
    undisturbed = Store(tmp_path / "undisturbed")
    assert Queue(undisturbed, [run], ["cpu"] * 2, Watcher()).work() == {run.uid: "done"}

    # Kill one of the two at a step by chance, which the message below has
    store, step, victim = Store(tmp_path / "disturbed"), random.randint(1, 8), random.randint(0, 1)
    killed: list[int] = []

    def kill() -> None:
        crews = [worker.crew for worker in queue.workers if worker.crew is not None]
        if killed or not crews or (store.folder(run.uid).saved_step() or 0) < step:
            return
        if (pid := crews[0].members[victim].process.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    watcher = Watcher(kill)
    queue = Queue(store, [run], ["cpu"] * 2, watcher)
    where = f"rank {victim} killed from step {step} on"
    assert queue.work() == {run.uid: "done"}, (where, store.folder(run.uid).error())
    assert killed and len(watcher.lines) == 1 and "worker" in watcher.lines[0], (where, watcher.lines)
    records = [of.folder(run.uid).result() for of in (undisturbed, store)]
    assert records[0]["weights_sha256"] == records[1]["weights_sha256"], where
    logs = [list(of.folder(run.uid).read_log()) for of in (undisturbed, store)]
    assert logs[0] == logs[1], where


@pytest.mark.slow
def test_a_run_whose_leader_notices_late_gets_a_worker_again(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    run, store = PlannedRun(spec_of(2)), Store(tmp_path)
    stopped: list[int] = []  # the leader, while it hears nothing
    ticks = 0

    def lose_the_other() -> None:
        nonlocal ticks
        crews = [worker.crew for worker in queue.workers if worker.crew is not None]
        if ticks == 0 and crews and (store.folder(run.uid).saved_step() or 0) > 0:
            leader, other = (member.process.pid for member in crews[0].members)
            os.kill(leader, signal.SIGSTOP)
            os.kill(other, signal.SIGKILL)
            stopped.append(leader)
        ticks += bool(stopped)
        # The worker in the lost one's place has been ended by now, as no run is waiting yet
        if stopped and ((ticks > 2 and len(queue.workers) == 1) or ticks > 40):
            os.kill(stopped.pop(), signal.SIGCONT)
            ticks = 1

    queue = Queue(store, [run], ["cpu"] * 2, Watcher(lose_the_other))
    assert queue.work() == {run.uid: "done"}


def test_a_source_that_needs_more_devices_than_there_are_fails_and_blocks(tmp_path):
    source = spec_of(2)
    whole = conformance_spec("diffaugment + unconditional", "stylegan2-32")
    run = PlannedRun(whole.model_copy(update={"sources": {"generator": source}, "seed": 1}), needs=(source.uid,))
    store = Store(tmp_path)
    store.open(source)
    assert Queue(store, [run], ["cpu"], Watcher()).work() == {source.uid: "failed", run.uid: "blocked"}
    assert "train.gpus is 2, and there is 1 here" in store.folder(source.uid).error()


def test_a_crew_is_of_one_node_where_that_has_enough_devices():
    def worker(device):
        return SimpleNamespace(device=device, run=None)

    devices = ["cpu", "cuda:0@n2", "cpu@n3", "cpu", "cpu@n3", "cuda:0@n2", "cuda:1@n2"]
    workers = [worker(device) for device in devices]

    def crew(gpus, first):
        members = crew_for(PlannedRun(spec_of(gpus)), workers[first], workers)
        return members and [member.device for member in members]

    assert crew(2, 0) == ["cpu", "cpu"] and crew(2, 4) == ["cpu@n3", "cpu@n3"]
    # A GPU has one worker of a run; the same number on two nodes is two GPUs
    assert crew(2, 5) == ["cuda:0@n2", "cuda:1@n2"]
    assert crew(6, 0) == ["cpu", "cpu", "cuda:0@n2", "cpu@n3", "cpu@n3", "cuda:1@n2"] and crew(7, 0) is None
    refuse_too_few([PlannedRun(spec_of(6))], devices)
    with pytest.raises(UserError, match="train.gpus is 7, and there are 6 here"):
        refuse_too_few([PlannedRun(spec_of(7))], devices)


def test_more_devices_than_there_are_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UserError, match=r"train\.gpus is 3, and there are 2 here"):
        Queue(Store(tmp_path), [PlannedRun(spec_of(3))], ["cpu"] * 2, Watcher()).work()
