"""The files behind the hours at scale paper: every trained cell is counted, and the fits are what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from bench.conformance.cases import conformance_spec
from bench.networks import build
from bench.plan.cost import counting
from bench.plan.cost.counting import kept_bytes
from bench.plan.cost.model import CARDS, measured_cards
from bench.plan.cost.steps import STEPS, counted_steps
from bench.plan.cost.work import step_flops
from bench.spec.run import NetworkSpec
from benchmarks import cost, cost_steps

RENEW = "a table trains something else at scale paper: run python -m benchmarks.cost"


@pytest.fixture(scope="module")
def contents():
    return cost.contents()


@pytest.mark.slow
def test_every_trained_cell_is_counted_as_it_is_now(contents):
    assert json.loads(contents[STEPS]) == json.loads(STEPS.read_text()), RENEW
    steps = counted_steps()
    unknown = [spec for key, spec in cost_steps.trainings().items() if steps[key].work is None]
    assert all(cost_steps.own_loop(spec) for spec in unknown), "only loops of a method's own are not counted"


def test_the_fits_are_repeated(contents):
    kept, now = json.loads(CARDS.read_text()), json.loads(contents[CARDS])
    assert kept.keys() == now.keys()
    for name, row in kept.items():
        assert row["steps"] == now[name]["steps"], RENEW
        assert all(row[key] == pytest.approx(now[name][key], rel=1e-3, abs=1e-9) for key in row if "error" in key)


@pytest.mark.parametrize("name", measured_cards())
def test_a_fit_is_the_least_squares_of_relative_errors(name):
    card = measured_cards()[name]
    seconds = np.array([step[3] for step in card.steps])
    matrix = np.array([[1.0, tflop, gigabytes] for _, tflop, gigabytes, _ in card.steps]) / seconds[:, None]
    coefficients = np.array([card.constant, card.per_tflop, card.per_gigabyte])
    # A coefficient of 0 is at its bound: the fit is that of the others
    free = coefficients > 0
    by_normal_equations = np.linalg.solve(matrix[:, free].T @ matrix[:, free], matrix[:, free].sum(0))
    assert coefficients[free] == pytest.approx(by_normal_equations, rel=1e-3)  # the file has 4 digits
    assert card.error == pytest.approx(np.sqrt(np.mean((matrix @ coefficients - 1) ** 2)), rel=1e-3)
    assert card.error < card.error_without_bytes < card.error_of_operations_alone
    assert card.left_out_error > card.error


def test_the_error_on_fastgans_printed_hours():
    card = measured_cards()["2080ti"]
    assert len(card.steps) == 10
    assert card.error < 0.2 < card.left_out_error < 0.3
    assert card.error_of_operations_alone > 0.4


def test_measurements_of_an_older_step_had_no_shared_images():
    """FastGAN's baseline adds nothing to the networks' step; the rehearsed operations have two digits."""
    by_id = {one.configuration: one for one in cost_steps.additions()}
    baseline = by_id["fastgan256-baseline"]
    specs = {one.id: one for one in cost_steps.load_configurations()[1]}
    spec = specs["fastgan256-baseline"].run_spec()
    whole = step_flops(counting.per_image(spec.network)[0], spec.train.model_copy(update={"share_fakes": None}))
    assert abs(baseline.flops) < 0.02 * whole


def test_kept_bytes_are_those_of_a_real_forward_pass():
    """The same network with weights, on the CPU: what autograd keeps for four more images."""
    network = NetworkSpec(name="sngan-32", options={"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True})
    generator, discriminator = build(network.name, **network.options)

    def kept(module: nn.Module, *inputs: torch.Tensor) -> int:
        own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
        seen: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                seen[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            module(*inputs)
        return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())

    few, many = torch.randn(4, 16), torch.randn(8, 16)
    images = [generator(z).detach() for z in (few, many)]
    real = (
        (kept(generator, many) - kept(generator, few)) / 4,
        (kept(discriminator, images[1]) - kept(discriminator, images[0])) / 4,
    )
    assert kept_bytes(network) == pytest.approx(real, rel=0.02)


def test_work_grows_with_the_network():
    small, large = (kept_bytes(NetworkSpec(name="sngan-32", options={"g_width": w, "d_width": w})) for w in (16, 32))
    assert large.generator > 1.5 * small.generator
    assert large.discriminator > 1.5 * small.discriminator


def test_a_d_of_a_methods_own_is_not_taken_for_the_tables():
    assert counting.count(conformance_spec("unconditional")) is not None
    assert counting.count(conformance_spec("projected-gan")) is None
