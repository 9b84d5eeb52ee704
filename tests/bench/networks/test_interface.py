"""What bench.networks.interface promises of every registered network, and what each family can do beyond it."""

import ast
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench import networks
from bench.networks import interface
from bench.networks.common import noise
from bench.networks.describe import describe, weightless
from bench.networks.interface import CAPABILITIES, capabilities

ROOT = Path(bench.__file__).parent.parent
BLOCKS_AND_FEATURES = {"HasBlocks", "Penultimate"}
# What each family's generator and discriminator can do, read from the papers and not from the code.
CAN = {
    "sngan": ({"HasBlocks"}, BLOCKS_AND_FEATURES),
    "sndcgan": ({"HasBlocks"}, BLOCKS_AND_FEATURES),
    "biggan": ({"HasBlocks"}, BLOCKS_AND_FEATURES),
    "stylegan1": (
        {"Styled", "Growing"},
        {*BLOCKS_AND_FEATURES, "BatchStatistics", "JudgesInGroups", "Growing", "ScalesGradients"},
    ),
    "stylegan2": ({"Styled"}, {*BLOCKS_AND_FEATURES, "BatchStatistics", "JudgesInGroups"}),
    "fastgan": (
        {"HasBlocks", "TwoScales", "MixesStyles"},
        {*BLOCKS_AND_FEATURES, "BatchStatistics", "HasMaps", "Decoding"},
    ),
}
STYLES = {"z_dim": 6, "w_dim": 5, "shared_dim": 4, "mapping_layers": 2, "channel_base": 256, "channel_max": 8}
TINY = {
    "sngan-32": {"g_width": 8, "d_width": 8},
    "sngan-48": {"g_width": 8, "d_width": 16, "variant": "compare_gan"},
    "sndcgan-32": {"g_width": 8, "d_width": 8},
    "biggan-32": {"g_channels": 4, "d_channels": 4},
    "stylegan1-32": STYLES,
    "stylegan2-32": STYLES,
    "fastgan-64": {"ngf": 4, "ndf": 4, "decoder_width": 4},
}


@pytest.fixture(params=TINY)
def pair(request):
    """The generator and the discriminator of a small network of each kind."""
    return networks.build(request.param, seed=0, **TINY[request.param])


@pytest.fixture(autouse=True)
def noise_stream():
    with noise.drawn_from(torch.Generator().manual_seed(0)):
        yield


def family(name):
    return name.rpartition("-")[0]


def both(name, **options):
    with weightless():
        return networks.build(name, **options)


def test_every_registered_network_has_the_base_interface():
    for name in networks.names():
        for size in (None, 7):
            generator, discriminator = both(name, condition_dim=size)
            assert isinstance(generator, interface.Generator), name
            assert isinstance(discriminator, interface.Discriminator), name
            assert type(generator.z_dim) is int and type(generator.bounded) is bool, name
            assert generator.resolution == networks.resolution(name)
            for network in (generator, discriminator):
                assert network.condition_dim == size, name
                assert (network.condition_embedding is None) == (size is None), name


def test_every_pair_keeps_what_its_base_classes_promise(pair):
    generator, discriminator = pair
    z_NZ, side = torch.randn(2, generator.z_dim), generator.resolution
    images_NCHW = generator(z_NZ)
    assert images_NCHW.shape == generator.synthesize(z_NZ).shape == (2, 3, side, side)
    assert not generator.bounded or images_NCHW.abs().max() <= 1
    assert discriminator(images_NCHW).shape[0] == 2
    assert discriminator.unconditional_logits(images_NCHW).shape == (2,)
    with pytest.raises(ValueError, match="has no condition"):
        generator.embed(torch.zeros(2, 3))


def test_networks_can_do_what_their_family_is_known_for_and_describe_says_so():
    assert {family(name) for name in networks.names()} == set(CAN)
    for name in networks.names():
        described = describe(name)
        halves = zip((described.generator, described.discriminator), both(name), CAN[family(name)])
        for summary, network, expected in halves:
            assert set(summary.capabilities) == expected, name
            assert {one.__name__ for one in CAPABILITIES if isinstance(network, one)} == expected, name


def test_capabilities_are_seen_by_every_version_of_python():
    """From 3.12 on a protocol's members are looked up without __getattr__, by which torch finds submodules."""
    for name in (
        "sngan-32",
        "sngan-48",
        "sndcgan-32",
        "biggan-32",
        "stylegan1-32",
        "stylegan2-32",
        "fastgan-64",
    ):
        for network in both(name):
            for protocol in CAPABILITIES:
                if isinstance(network, protocol) and protocol not in type(network).__mro__:
                    for member in members(protocol):
                        inspect.getattr_static(network, member)  # raises AttributeError where it is not seen


def members(protocol):
    own = {
        **protocol.__annotations__,
        **{key: value for key, value in vars(protocol).items() if callable(value)},
    }
    own |= {key: value for key, value in vars(protocol).items() if isinstance(value, property)}
    return {name for name in own if not name.startswith("_")}


def test_features_are_of_the_stated_size_and_made_from_the_last_map(pair):
    _, discriminator = pair
    images_NCHW = torch.randn(2, 3, pair[0].resolution, pair[0].resolution)
    assert discriminator.features(images_NCHW).shape == (2, discriminator.feature_dim)
    assert discriminator.feature_maps(images_NCHW).ndim == 4
    assert all(isinstance(block, nn.Module) for block in discriminator.blocks)


def test_logits_depend_on_the_batch_where_the_discriminator_says_so(pair):
    _, discriminator = pair
    images_NCHW = torch.randn(4, 3, pair[0].resolution, pair[0].resolution)
    images_NCHW[2:] *= 5  # company of another kind, which shows in any statistic of the batch
    with torch.no_grad():
        discriminator(images_NCHW)  # settles the spectral norms of a first call
        for module in discriminator.modules():
            if hasattr(module, "parametrizations"):
                module.eval()
        together, alone = discriminator(images_NCHW)[:2], discriminator(images_NCHW[:2])
    close = torch.allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert close != interface.looks_at_the_batch(discriminator)


def test_styles_are_what_the_synthesis_reads():
    for name in ("stylegan1-32", "stylegan2-32"):
        generator, _ = networks.build(name, seed=0, **{**STYLES, "noise": "none", "mixing": 0.0})
        generator.eval()
        z_NZ = torch.randn(2, 6)
        styles_NLW = generator.styles(z_NZ)
        assert styles_NLW.shape == (2, generator.synthesis.layers, 5)
        torch.testing.assert_close(generator.synthesis(styles_NLW), generator(z_NZ))
        torch.testing.assert_close(generator.reconstruct(z_NZ), generator(z_NZ))
        generator.on_latent = lambda _, z: 0 * z + 1
        torch.testing.assert_close(generator.map(z_NZ)[0], generator.map(z_NZ)[1])


def test_growing_networks_grow_and_scale_gradients():
    generator, discriminator = networks.build("stylegan1-32", seed=0, **STYLES)
    for network in (generator, discriminator):
        assert (network.level, network.alpha, network.top) == (3, 1, 3)
        network.grow(1, 0.5)
        assert (network.level, network.alpha, network.top) == (1, 0.5, 3)
        with pytest.raises(ValueError, match="level 4"):
            network.grow(4, 1)
    assert discriminator.gradient_factor == (32 // 8) ** 2


def test_two_scales_are_those_of_one_variant():
    released, paper = (networks.build("fastgan-64", seed=0, variant=variant, **TINY["fastgan-64"])
                       for variant in ("released", "paper"))  # fmt: skip
    assert interface.has_two_scales(released[0]) and not interface.has_two_scales(paper[0])
    images_NCHW, small_NCHW = released[0].both_scales(torch.randn(2, 256))
    assert images_NCHW.shape == (2, 3, 64, 64) and small_NCHW.shape == (2, 3, 32, 32)


def test_maps_of_a_pass_are_decoded():
    _, discriminator = networks.build("fastgan-64", seed=0, **TINY["fastgan-64"])
    images_NCHW = torch.randn(2, 3, 64, 64)
    _, maps = discriminator.forward_with_maps(images_NCHW)
    pairs = list(discriminator.reconstruct(maps, images_NCHW, discriminator.parts - 1))
    assert pairs and all(one.decoded_NCHW.shape == one.target_NCHW.shape for one in pairs)


def test_a_module_before_a_discriminator_hides_what_it_can_do():
    class Before(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

    _, discriminator = networks.build("stylegan2-32", seed=0, **STYLES)
    assert capabilities(Before(discriminator)) == ()
    assert not interface.looks_at_the_batch(Before(discriminator))


def test_no_network_is_asked_for_an_attribute_by_its_name():
    """`isinstance(network, Growing)` says what is asked for; `hasattr(network, "grow")` hides it."""
    offenders = []
    for folder in ("bench/networks", "bench/train", "bench/contract", "bench/conformance", "methods"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in ("getattr", "hasattr")
                    and isinstance(node.args[1], ast.Constant)
                    and not str(node.args[1].value).startswith("__")
                ):
                    offenders.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert offenders == []
