"""The tests of this folder without a GPU: skipped with the reason, and run on a CPU against itself, as a rehearsal."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from bench.plan.cost.steps import counted_steps
from bench.rehearsal.configurations import Configuration
from bench.rehearsal.listing import load_configurations
from bench.spec.run import DataSpec
from benchmarks import gpu_costs, gpu_draws, gpu_right

HERE = Path(__file__).parent
CPU = torch.device("cpu")


def beside(name):
    """Another file of this folder, whose tests are left out without `-m gpu`."""
    found = importlib.util.spec_from_file_location(f"rehearsed_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("test", [
    "test_forward_passes_and_gradients_are_the_cpus", "test_a_resumed_run_ends_with_the_bits_of_one_that_was_not",
    "test_z_data_order_and_augmentations_are_the_cpus", "test_tf32_and_bfloat16_are_finite_and_close",
])  # fmt: skip
def test_they_run_on_a_cpu(test, lacks, monkeypatch):
    """One network and the run of one family, whose precisions, resuming and draws are compared."""
    monkeypatch.setenv("BENCH_TEST_DEVICE", "cpu")
    device = beside("conftest").named_device(lacks)
    assert device == CPU
    tests = beside("test_right")
    name = "sngan-32" if "forward" in test else next(name for name in tests.SPECS if name.startswith("sngan-32"))
    getattr(tests, test)(name, device)


def test_without_a_gpu_they_say_what_is_lacking(monkeypatch):
    monkeypatch.delenv("BENCH_TEST_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = []
    beside("conftest").named_device(said.append)
    assert said == ["no CUDA device: run `pytest -m gpu` where torch sees one"]


def test_a_device_that_computes_otherwise_is_found(monkeypatch):
    """One that rounds as bfloat16 does, in the place of a GPU."""
    exact = gpu_right.passes
    assert gpu_right.compare_network("sngan-32", CPU)["ok"]

    def rough(name, device, dtype):
        values = exact(name, device, dtype)
        return {key: value.bfloat16().double() for key, value in values.items()} if dtype == torch.float32 else values

    monkeypatch.setattr(gpu_right, "passes", rough)
    assert not gpu_right.compare_network("sngan-32", CPU)["ok"]


def test_a_device_with_another_order_of_the_data_is_found(monkeypatch):
    (spec,) = gpu_right.tiny_specs(["sngan-32"]).values()
    record = gpu_draws.compare_draws(spec, CPU)
    assert record["ok"] and record["latents"] >= 2 * gpu_draws.STEPS
    seeds, given = iter((0, 1)), gpu_draws.given
    monkeypatch.setattr(
        gpu_draws, "given", lambda one, *rest: given(one.model_copy(update={"seed": next(seeds)}), *rest)
    )
    record = gpu_draws.compare_draws(spec, CPU)
    assert not record["ok"] and not record["latents_equal"] and record["real_images_off"] > 0.1


def test_costs_are_measured_in_each_precision_and_what_fails_is_named(monkeypatch):
    """A tiny configuration on the CPU, whose energy nobody counts; one of an unknown network is left out."""
    tiny = Configuration(
        id="tiny", tables=("none",), resolution=32, batch=8, rehearsed=4, steps=10, images=8,
        network={"name": "sngan-32", "options": {"g_width": 8, "d_width": 8, "z_dim": 16}},
        method="diffaugment + baseline", train={"g_lr": 1e-3, "d_lr": 1e-3},
    )  # fmt: skip
    wrong = tiny.model_copy(update={"id": "wrong", "network": tiny.network.model_copy(update={"name": "gan-7"})})
    monkeypatch.setattr(gpu_costs, "keys_of", lambda one: ["0" * 16])
    shapes = DataSpec(name="shapes", resolution=32)
    steps, missing = gpu_costs.measure_all([tiny, wrong], shapes, CPU, 100)
    assert [step.precision for step in steps] == ["float32", "tf32", "bfloat16"]
    assert all(0 < step.low <= step.seconds <= step.high and (step.images, step.batch) == (4, 8) for step in steps)
    assert len(missing) == 3 and "wrong, float32: UserError: unknown network 'gan-7'" in missing[0]
    assert gpu_costs.measure_all([tiny], shapes, CPU, -1)[1][0] == "tiny, float32: the time was over"


def test_configurations_stand_for_steps_that_plans_know():
    _, listed = load_configurations()
    counted = counted_steps()
    keys = {one.id: gpu_costs.keys_of(one) for one in listed if one.network.name == "sngan-128"}
    assert keys and all(key in counted for found in keys.values() for key in found)
