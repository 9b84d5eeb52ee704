"""On a CUDA device: it computes what the CPU does, in float32, TF32 and bfloat16, and resumes (`pytest -m gpu`).

The comparisons and their tolerances, with the reasons, are those of `make gpu-check` (benchmarks/gpu_right.py).
"""

from __future__ import annotations

import pytest

from bench.conformance.checks import NETWORKS
from bench.contract.discovery import methods
from benchmarks import gpu_draws, gpu_right

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
SPECS = gpu_right.tiny_specs(gpu_right.METHODS)
METHODS = [entry.name for entry in methods()]


def right(record):
    assert record["ok"], record


@pytest.mark.parametrize("name", NETWORKS)
def test_forward_passes_and_gradients_are_the_cpus(name, device):
    right(gpu_right.compare_network(name, device))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_keeps_its_contract(method, device):
    """It builds, steps, resumes bit for bit, samples."""
    right(gpu_right.conform_method(method, device))


@pytest.mark.parametrize("method", METHODS)
def test_steps_of_a_method_are_the_cpus(method, device):
    network, findings = gpu_right.first_network(method, device)
    assert any(finding.check == "steps" and finding.passed for finding in findings)
    right(gpu_right.compare_losses_of(method, network, device))


@pytest.mark.parametrize("name", SPECS)
def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not(name, device):
    right(gpu_right.compare_resumed_run(SPECS[name], device))


@pytest.mark.parametrize("name", SPECS)
def test_z_data_order_and_augmentations_are_the_cpus(name, device):
    right(gpu_draws.compare_draws(SPECS[name], device))


@pytest.mark.parametrize("name", SPECS)
def test_tf32_and_bfloat16_are_finite_and_close(name, device):
    record = gpu_right.compare_precisions_of(SPECS[name], device)
    right(record)
    for precision, most in gpu_right.CLOSE.items():
        assert record[f"{precision}_step_1"] <= most, record
