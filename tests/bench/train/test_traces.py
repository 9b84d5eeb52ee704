"""Five steps of every method at a fixed seed end where they did when this was recorded: losses, norms, logits.

A change of results that nobody meant shows here first. Where one is meant (the method's `version` then goes up), or
for a new method, write the traces anew and look at the difference:

    BENCH_RECORD_TRACES=1 pytest tests/bench/train/test_traces.py

Runs are those of the conformance checks: the drawn shapes at 32 pixels (the smallest size of the networks; 64 where
FastGAN is a method's first network), and tiny networks, the first of bench.conformance.cases.NETWORKS that the
method takes. They are trained in float64 by a process of their own (trace_in_float64.py says why and how), with the
very draws of a run in float32. Largest relative difference of any logged value from a trace made with AVX-512, oneDNN
and one thread (values under 0.1 count as 0.1; methods: bsa, glann, the largest of the others that were measured):

    float64, ATEN_CPU_CAPABILITY=avx2 (all methods; another processor)     2e-10  5e-13  3e-14
    float64, ATEN_CPU_CAPABILITY=default, no oneDNN, two threads (there)   6e-10  3e-13  8e-15
    float64, ATEN_CPU_CAPABILITY=default                                   4e-11  3e-13  8e-15
    float64, the oldest versions allowed (torch 2.4, scikit-learn 1.4)     8e-11  2e-13  8e-15
    float64, torch 2.15, the newest (fourteen methods, without these two)  -      -      0
    float32, as one processor recorded it before                           1e-3   9e-3   3e-3

To measure another machine, processor feature or version, run this file there, with any of ATEN_CPU_CAPABILITY=default
or avx2, TRACE_ONEDNN=0, TRACE_THREADS=2 in the environment; BENCH_TRACE_SPREAD=1 prints each method's largest
difference (pytest -rP).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.contract.discovery import methods

# With settings at which they do their work within five steps: at their defaults these are plain training so early
EARLY = {"lecam": "lecam(start=1)", "apa": "apa(target=-1.5, interval=1, speed_kimg=0.02)"}
# With smaller images, maps or networks: float64's convolutions have no fast kernels
SMALL = {
    "ae-d": "ae-d(loss=lpips-alex)",
    "disp": "disp(prior_size=64)",
    "projected-gan": "projected-gan(size=128, width=8)",
}
STEPS = 5
# Of this one only so many steps are compared: it runs a large pretrained network. The second step has the losses of
# what the first has updated.
FIRST = {"projected-gan": 2}
CHECKOUT = Path(__file__).parents[3]
FILE = Path(__file__).with_name("traces.json")
SCRIPT = Path(__file__).with_name("trace_in_float64.py")
METHODS = [entry.name for entry in methods()]
# More than a hundred times what was measured (see above), and far below any change of a method that could be meant.
# The absolute part is for values near 0.
RTOL, ATOL = 1e-7, 1e-8
# In float32 these differ most between processors: by thousandths after five steps.
SENSITIVE = ["bsa", "freezed", "glann", "minegan", "transfergan"]
OTHER_KERNELS = {"ATEN_CPU_CAPABILITY": "default", "TRACE_ONEDNN": "0", "TRACE_THREADS": "2"}


class Tracer:
    """A process that trains in float64; `environment` chooses its kernels and threads."""

    def __init__(self, **environment: str) -> None:
        usual = {"TRACE_ONEDNN": "1", "TRACE_THREADS": "1"}
        # otherwise glibc gives memory back to the system and takes it again all the time: a third of the run
        memory = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
        path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
        # the most that the process may ask for; a thread that waits leaves its core to the other tests
        threads = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**usual, **os.environ, **memory, **threads, "PYTHONPATH": path, **environment},
        )

    def trace(self, method: str, count: int = STEPS) -> dict[str, object]:
        """{"network": name, "steps": what each of the first `count` of the five logged}."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([method, count]) + "\n")
        self.process.stdin.flush()
        found: dict[str, object] = json.loads(self.process.stdout.readline())
        assert "error" not in found, found["error"]
        return found

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(300)


@pytest.fixture(scope="module")
def tracer() -> Iterator[Tracer]:
    made = Tracer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def other_tracer() -> Iterator[Tracer]:
    made = Tracer(**OTHER_KERNELS)
    yield made
    made.close()


def recorded() -> dict[str, dict[str, object]]:
    """Method -> {"network": name, "steps": what each logged}."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def compare(found, wanted):
    assert found["network"] == wanted["network"]
    assert len(wanted["steps"]) == STEPS
    if os.environ.get("BENCH_TRACE_SPREAD"):
        print(f"largest relative difference: {spread(found['steps'], wanted['steps']):.0e}")
    for one, other in zip(found["steps"], wanted["steps"][: len(found["steps"])], strict=True):
        assert one == pytest.approx(other, rel=RTOL, abs=ATOL)


def spread(steps, others):
    pairs = [(one[key], other[key]) for one, other in zip(steps, others) for key in other]
    return max(abs(a - b) / max(abs(b), ATOL / RTOL) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_five_steps_are_what_they_were(method, tracer):
    recording = os.environ.get("BENCH_RECORD_TRACES")
    found = tracer.trace({**EARLY, **SMALL}.get(method, method), STEPS if recording else FIRST.get(method, STEPS))
    if recording:
        others = {name: kept for name, kept in recorded().items() if name in METHODS}
        FILE.write_text(json.dumps({**others, method: found}, indent=1, sort_keys=True) + "\n")
    compare(found, recorded()[method])


@pytest.mark.slow
@pytest.mark.parametrize("method", SENSITIVE)
def test_they_are_the_same_with_other_kernels_and_threads(method, other_tracer):
    """The plainest kernels and two threads: what another machine would do."""
    compare(other_tracer.trace(method), recorded()[method])


def test_every_method_has_a_trace_and_no_other():
    assert sorted(recorded()) == sorted(METHODS), "record the traces: see the top of this file"


@pytest.mark.parametrize("size", [(1,), (5, 3), (16,), (17,), (7, 9), (4, 3, 8, 8)])
def test_draws_are_those_of_float32(size):
    found = importlib.util.spec_from_file_location("trace_in_float64", SCRIPT)
    script = importlib.util.module_from_spec(found)
    found.loader.exec_module(script)
    for draw, torchs, tolerance in ((script.uniform, torch.rand, 0.0), (script.normal, torch.randn, 2e-6)):
        streams = [torch.Generator().manual_seed(3) for _ in range(2)]
        for _ in range(2):  # the second begins where the first left off
            mine, wanted = draw(size, streams[0]), torchs(size, generator=streams[1])
            assert mine.dtype == torch.float64 and wanted.dtype == torch.float32
            torch.testing.assert_close(mine, wanted.double(), rtol=tolerance, atol=tolerance)
        assert torch.equal(streams[0].get_state(), streams[1].get_state())
