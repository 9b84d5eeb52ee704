"""Descriptions on the meta device against real networks."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import UserError
from bench.networks import build
from bench.networks.describe import describe

SETTINGS = {"g_width": 32, "d_width": 16, "condition_dim": 12, "z_dim": 20, "sn_generator": True}


@pytest.mark.parametrize("name", ["sngan-32", "sngan-64", "sngan-128"])
def test_totals_are_those_of_the_real_networks(name):
    described = describe(name, **SETTINGS)
    generator, discriminator = build(name, seed=0, **SETTINGS)
    for summary, network in ((described.generator, generator), (described.discriminator, discriminator)):
        assert summary.parameters == sum(p.numel() for p in network.parameters())
        assert summary.parameters == sum(layer.parameters for layer in summary.layers)
    assert described.generator.output == (3, generator.resolution, generator.resolution)
    assert described.discriminator.output == ()


def test_multiply_accumulates_are_half_the_flops_that_torch_counts():
    described = describe("sngan-32", **SETTINGS)
    generator, discriminator = (network.eval() for network in build("sngan-32", seed=0, **SETTINGS))
    condition = torch.zeros(1, 12)
    with torch.no_grad():
        for network in (generator, discriminator):  # spectral norms cost matrix products too: take them out
            for module in network.modules():
                if hasattr(module, "parametrizations"):
                    torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
        with FlopCounterMode(display=False) as g_flops:
            images = generator(torch.zeros(1, 20), condition)
        with FlopCounterMode(display=False) as d_flops:
            discriminator(images, condition)
    assert 2 * described.generator.macs == g_flops.get_total_flops()
    assert 2 * described.discriminator.macs == d_flops.get_total_flops()


def test_layers_have_paper_shapes():
    layers = {layer.name: layer for layer in describe("sngan-128").discriminator.layers}
    assert layers["blocks.0.conv1"].shape == (64, 128, 128)
    assert layers["blocks.4.conv2"].shape == (1024, 8, 8)
    assert layers["blocks.5.conv2"].shape == (1024, 4, 4)
    assert layers["blocks.5.conv2"].kind == "Conv2d"
    assert layers["linear"].parameters == 1025
    assert "condition_embedding" not in layers
    assert layers["blocks.0.conv1"].macs == 128 * 128 * 64 * 3 * 9


def test_paper_scale_takes_less_than_two_seconds_and_no_random_number():
    describe("sngan-32")  # torch imports its meta kernels on first use
    state, start = torch.get_rng_state(), time.process_time()
    describe("sngan-128", condition_dim=4096, sn_generator=True)
    assert time.process_time() - start < 2
    assert torch.equal(torch.get_rng_state(), state)


def test_a_description_allocates_nothing():
    # 10^6 channels would need terabytes
    assert describe("sngan-32", g_width=1_000_000).generator.parameters > 10**13


def test_errors_are_those_of_build():
    with pytest.raises(UserError, match="has no setting"):
        describe("sngan-32", width=3)
