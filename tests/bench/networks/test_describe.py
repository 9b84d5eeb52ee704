"""Descriptions on the meta device against real networks."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.conformance.cases import NETWORKS
from bench.errors import UserError
from bench.networks import build, names
from bench.networks.common import noise
from bench.networks.describe import describe, weightless

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


COUNTED = {
    "sndcgan-32": {"g_width": 32, "d_width": 32},  # transposed convolutions
    "sngan-48": {"g_width": 32, "d_width": 32},
    "biggan-128": {"g_channels": 8, "d_channels": 8, "attention": None},  # attention's products count as 0
    "fastgan-64": {"ngf": 8, "ndf": 8},
    "stylegan2-32": {
        "channel_base": 512,
        "z_dim": 32,
        "w_dim": 32,
        "shared_dim": 32,
    },  # modulated convolutions
}


@pytest.mark.parametrize("name", COUNTED)
def test_every_family_counts_as_torch_does(name):
    described = describe(name, condition_dim=12, **COUNTED[name])
    pair = [network.eval() for network in build(name, seed=0, condition_dim=12, **COUNTED[name])]
    flops, inputs = [], torch.zeros(1, pair[0].z_dim)
    with torch.no_grad(), noise.drawn_from(torch.Generator().manual_seed(0)):
        for network in pair:
            for module in network.modules():
                if hasattr(module, "parametrizations"):
                    torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
            with FlopCounterMode(display=False) as counter:
                inputs = network(inputs, torch.zeros(1, 12))
            flops.append(counter.get_total_flops())
    macs = [described.generator.macs, described.discriminator.macs]
    if name.startswith("stylegan2"):  # torch counts its fixed resampling filters too, a few per cent
        assert all(0.9 * flop < 2 * mac < flop for mac, flop in zip(macs, flops, strict=True))
    else:
        assert [2 * mac for mac in macs] == flops


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_and_types_without_weights_are_those_of_the_real_networks(name):
    with weightless():
        found = build(name, **NETWORKS[name])
    for mine, real in zip(found, build(name, seed=0, **NETWORKS[name])):
        states = [module.state_dict() for module in (mine, real)]
        kinds = [{key: (value.shape, value.dtype) for key, value in state.items()} for state in states]
        assert kinds[0] == kinds[1]


def test_every_registered_network_can_be_described():
    for name in names():
        described = describe(name)
        size = int(name.split("-")[1])
        assert described.generator.output == (3, size, size)
        assert described.generator.macs > 0 and described.discriminator.macs > 0


def test_layers_have_paper_shapes():
    layers = {layer.name: layer for layer in describe("sngan-128").discriminator.layers}
    assert layers["blocks.0.conv1"].shape == (64, 128, 128)
    assert layers["blocks.4.conv2"].shape == (1024, 8, 8)
    assert layers["blocks.5.conv2"].shape == (1024, 4, 4)
    assert layers["blocks.5.conv2"].kind == "Conv2d"
    assert layers["linear"].parameters == 1025
    assert "condition_embedding" not in layers
    assert layers["blocks.0.conv1"].macs == 128 * 128 * 64 * 3 * 9


def test_paper_scale_takes_less_than_two_seconds_and_no_random_number(computes_within):
    describe("sngan-32")  # torch imports its meta kernels on first use
    state = torch.get_rng_state()
    with computes_within(2):
        describe("sngan-128", condition_dim=4096, sn_generator=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_description_allocates_nothing():
    # 10^6 channels would need terabytes
    assert describe("sngan-32", g_width=1_000_000).generator.parameters > 10**13


def test_errors_are_those_of_build():
    with pytest.raises(UserError, match="has no setting"):
        describe("sngan-32", width=3)
