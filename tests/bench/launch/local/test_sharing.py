"""Several runs on one GPU: how many workers it gets, who may join whom, what is said, and a queue that does it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner

from bench.cli.main import cli
from bench.errors import UserError
from bench.launch.local import admission, devices, gpu_load, starter
from bench.launch.local.admission import AtWork, MemoryBudget
from bench.launch.local.devices import sharing_words, slots
from bench.launch.local.gpu_load import GpuLoad
from bench.launch.local.queue import Queue
from bench.machine import gpu_use
from bench.plan.estimate import Estimates
from bench.plan.kinds import kind
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store
from fake_nvml import GB, Device

CARD = Device("GPU-a", free=20 * GB)


@pytest.fixture
def run(tiny_spec):
    return lambda seed, steps=6: PlannedRun(tiny_spec(seed=seed, steps=steps))


@pytest.fixture
def load(store_root, run):
    """A GpuLoad whose store has measured the runs of 6 steps: 6 GB each, and the card busy for 40 %."""
    own = kind(run(0).spec)
    return GpuLoad(Store(store_root), Estimates(gpu_memory_of={own: [5 * GB, 6 * GB]}, gpu_busy_of={own: [0.4]}))


def test_workers_are_handed_out_card_by_card(machine, monkeypatch):
    machine(Device("GPU-a"), Device("GPU-b"))
    assert slots(None, per_gpu=2) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"] and slots(3, per_gpu=9)[2] == "cuda:0"
    monkeypatch.setattr(devices, "usable_cores", lambda: 7)
    assert len(slots(None, per_gpu="auto")) == 6, "a core for each"
    monkeypatch.setattr(devices, "usable_cores", lambda: 128)
    assert len(slots(None, per_gpu="auto")) == 16
    with pytest.raises(UserError, match="--runs-per-gpu 2: no GPU is used here"):
        slots(None, "cpu", 2)


def test_a_run_joins_others_if_the_card_has_memory_for_all_of_them(machine, monkeypatch, load, run):
    machine(CARD)
    monkeypatch.setattr(admission, "available_bytes", lambda: None)
    fits = MemoryBudget(load=load).fits
    others = [AtWork(None, run(seed), "cuda:0") for seed in (1, 2, 3)]
    assert fits(run(0), "cuda:0", others[:2]), "6 GB, and 12 GB that the others will take, of 20"
    assert not fits(run(0), "cuda:0", others)
    assert fits(run(0), "cuda:0", [other._replace(device="cuda:1") for other in others]), "those are on another card"
    # What one has taken already is no longer free, and is not counted again
    load.held = {run(3).uid: 3 * GB}
    assert not fits(run(0), "cuda:0", others), "20 are free, 6, 6 and 3 of them will be taken"
    load.held = {run(3).uid: 5 * GB}
    assert fits(run(0), "cuda:0", others)


def test_auto_adds_a_run_only_if_all_are_measured_and_leave_the_card_time(machine, monkeypatch, load, run):
    machine(CARD)
    monkeypatch.setattr(admission, "available_bytes", lambda: None)
    fits = MemoryBudget(load=load, measured_only=True).fits
    one, unknown = AtWork(None, run(1), "cuda:0"), AtWork(None, run(1, steps=9), "cuda:0")
    assert fits(run(0), "cuda:0", []) and fits(run(0, steps=9), "cuda:0", []), "alone any run may start"
    assert fits(run(0), "cuda:0", [one]), "two of 40 %"
    assert not fits(run(0), "cuda:0", [one, AtWork(None, run(2), "cuda:0")]), "three would be 120 %"
    assert not fits(run(0), "cuda:0", [unknown]) and not fits(run(0, steps=9), "cuda:0", [one])


def test_a_run_at_work_measures_its_kind_for_those_that_wait(machine, monkeypatch, load, run):
    machine(CARD)
    monkeypatch.setattr(admission, "available_bytes", lambda: None)
    monkeypatch.setattr(gpu_load, "LOOK_SECONDS", 0.0)
    budget, first = MemoryBudget(load=load, measured_only=True), run(1, steps=9)
    folder = load.store.open(first.spec)
    beside = [AtWork(None, first, "cuda:0")]
    folder.beat("running", 0, 9, None, gpu_memory=1 * GB)
    assert not budget.fits(run(0, steps=9), "cuda:0", beside), "it has made no step yet"
    folder.beat("running", 3, 9, None, gpu_memory=2 * GB, gpu_busy=0.3)
    assert budget.fits(run(0, steps=9), "cuda:0", beside)
    assert load.of(run(0, steps=9)) == (2 * GB, 0.3) and load.to_come(first) == 0
    folder.beat("running", 5, 9, None, gpu_memory=2 * GB, gpu_busy=0.7)
    assert not budget.fits(run(0, steps=9), "cuda:0", beside)


def test_finished_runs_are_measurements(store_root, run):
    store, done = Store(store_root), run(0)
    folder = store.open(done.spec)
    with folder.lease():
        folder.finish({"steps": 6, "seconds": 3.0, "diverged_at": None})
    folder.beat("done", 6, 6, None, memory=GB, gpu_memory=3 * GB, gpu_busy=0.25)
    estimates = Estimates.measured(store, [run(1)])
    assert estimates.gpu_memory(run(1)) == 3 * GB and estimates.gpu_busy(run(1)) == 0.25
    assert estimates.gpu_busy(run(1, steps=9)) is None


@dataclass
class Watch:
    """A watcher that counts how many runs are at work at once."""

    at_work: set[str] = field(default_factory=set)
    most: int = 0

    def started(self, run):
        self.at_work.add(run.uid)
        self.most = max(self.most, len(self.at_work))

    def ended(self, run, outcome):
        self.at_work.discard(run.uid)

    def stepped(self, run, step, steps): ...

    def said(self, text): ...

    def tick(self): ...


@pytest.mark.slow
@pytest.mark.parametrize(("free", "most"), [(20, 2), (7, 1)])
def test_a_queue_trains_two_runs_at_once_on_one_card_if_it_has_room(machine, monkeypatch, load, run, free, most):
    """The card is a pretended one: its workers train on the CPU."""
    machine(Device("GPU-a", free=free * GB))
    monkeypatch.setattr(starter, "place_of", lambda device: ("cpu", {}))
    runs, watch = [run(seed) for seed in range(2)], Watch()
    queue = Queue(load.store, runs, slots(None, per_gpu=2), watch, budget=MemoryBudget(load=load, measured_only=True))
    assert set(queue.work().values()) == {"done"} and watch.most == most


def test_what_is_said_of_shared_gpus(machine, monkeypatch, tmp_path):
    machine(Device("GPU-a"))
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert sharing_words(["cuda:0", "cuda:1"]) is None and sharing_words(["cpu"] * 4) is None
    alone = "up to 2 runs at once on each GPU, taking turns: no MPS here (nvidia-cuda-mps-control -d starts it)"
    assert sharing_words(["cuda:0", "cuda:0"]) == alone
    (tmp_path / "control").touch()
    (tmp_path / "nvidia-cuda-mps-control.pid").write_text("not a number")
    assert sharing_words(["cuda:0", "cuda:0"]) == alone
    (tmp_path / "nvidia-cuda-mps-control.pid").write_text(f"{os.getpid()}\n")
    assert sharing_words(["cuda:0", "cuda:0"]) == "up to 2 runs at once on each GPU, side by side by MPS"


@pytest.mark.parametrize("value", ["0", "65", "many", "1.5", "-1"])
def test_other_numbers_are_refused(value):
    done = CliRunner().invoke(cli, ["run", "table1", "--runs-per-gpu", value])
    assert done.exit_code == 2 and f"'{value}' must be a number from 1 to 64, or auto" in done.output


def test_a_process_without_a_gpu_has_nothing_to_tell():
    gpu_use.forget()
    assert gpu_use.gpu_figures() == {}
