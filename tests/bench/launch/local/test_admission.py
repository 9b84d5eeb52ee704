"""Memory: what is measured, and who has to wait for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.launch.local import admission
from bench.launch.local.admission import AtWork, MemoryBudget
from bench.launch.local.gpu_load import GpuLoad
from bench.machine import memory
from bench.plan.estimate import Estimates
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store
from fake_nvml import GB, Device, error

MB = 2**20


class Needs(Estimates):
    """Estimates by which every run needs 10 GB of a GPU."""

    def gpu_memory(self, run, *, measured=False):
        return 10 * GB


@pytest.fixture
def run(tiny_spec):
    return lambda seed: PlannedRun(tiny_spec(seed=seed))


def test_the_peak_is_this_processes_and_can_be_reset():
    """In a process of its own: 300 MB touched and given back are the peak until it is reset."""
    text = (
        "from bench.machine import memory\nimport os\nbefore = memory.peak_bytes()\n"
        "block = bytearray(os.urandom(1)) * (300 << 20)\n"
        "del block\npeak = memory.peak_bytes()\nmemory.reset_peak()\nprint(before, peak, memory.peak_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    before, peak, after = map(int, done.stdout.split())
    assert peak - before > 280 * MB and peak - after > 280 * MB


def test_what_others_have_resident():
    own = memory.resident_bytes(os.getpid())
    assert own is not None and 10 * MB < own <= memory.peak_bytes()
    child = subprocess.Popen(["true"])
    child.wait()
    assert memory.resident_bytes(child.pid) is None, "gone"


def test_what_is_available_is_the_least_of_machine_and_control_group(tmp_path, monkeypatch):
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(memory, "PROC", proc)
    monkeypatch.setattr(memory, "CGROUPS", groups)
    assert memory.available_bytes() == 4000 * 1024
    (groups / "job_7").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("1:cpu:/x\n0::/job_7\n")
    (groups / "job_7" / "memory.max").write_text("1000000\n")
    (groups / "job_7" / "memory.current").write_text("400000\n")
    assert memory.available_bytes() == 600_000
    (groups / "job_7" / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 4000 * 1024
    monkeypatch.setattr(memory, "PROC", tmp_path / "no linux")
    assert memory.available_bytes() is None


def test_runs_wait_for_the_growth_of_those_at_work(run, monkeypatch):
    monkeypatch.setattr(admission, "available_bytes", lambda: 3000)
    monkeypatch.setattr(admission, "resident_bytes", lambda pid: 1000)
    fits = MemoryBudget(memory=lambda one: 2500).fits
    assert fits(run(0), "cpu", []), "a lone run always starts"
    assert not fits(run(0), "cpu", [AtWork(1, run(1))]), "the other will want 1500 of the 3000"
    assert MemoryBudget(memory=lambda one: 1200).fits(run(0), "cpu", [AtWork(1, run(1))])
    assert MemoryBudget().fits(run(0), "cpu", [AtWork(1, run(1))] * 50), "nothing known: no waiting"


def test_a_gpu_that_strangers_use_is_waited_for(run, machine, tmp_path, monkeypatch):
    machine(*(Device(f"GPU-{number}", free=20 * GB if number == 5 else GB) for number in range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    fits = MemoryBudget(load=GpuLoad(Store(tmp_path), Needs())).fits
    assert fits(run(0), "cuda:0", [])
    assert not fits(run(0), "cuda:1", []), "1 GB is free of the 10 GB it needs"


def test_without_nvml_its_tool_is_asked_what_is_free(machine, tmp_path, monkeypatch):
    machine(start=error("LibraryNotFound", "NVML Shared Library Not Found"))
    script = tmp_path / "nvidia-smi"
    script.write_text('#!/bin/sh\ncase "$*" in *--id=GPU-5*) echo 20000;; *) echo "No devices" >&2; exit 6;; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert memory.free_gpu_bytes("GPU-5") == 20000 * MB
    assert memory.free_gpu_bytes("GPU-6") is None and memory.free_gpu_bytes(None) is None
