"""On a CUDA device: steps that wait for nothing, and recorded ones that are those of Python (`pytest -m gpu`)."""

from __future__ import annotations

import pytest

from bench.contract.composition import build_method
from benchmarks import gpu_fast, gpu_right

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
SPECS = gpu_right.tiny_specs(gpu_right.METHODS)
RECORDED = [name for name, spec in SPECS.items() if not build_method(spec.method).not_in_graphs()]


@pytest.mark.parametrize("name", SPECS)
def test_a_step_waits_for_nothing(name, device):
    record = gpu_fast.find_waits({name: SPECS[name]}, device, lambda: False)[name]
    assert record["ok"], record


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_steps_end_with_the_weights_of_those_in_python(name, device):
    record = gpu_fast.compare_graphs({name: SPECS[name]}, device, lambda: False)[name]
    assert record["ok"], record
