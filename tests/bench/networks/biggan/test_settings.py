"""BigGAN's sizes and settings: counts of the originals, chunks of z, shapes, freezing, what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.errors import UserError
from bench.networks.biggan.recipes import biggan_32, biggan_64, biggan_128
from bench.networks.describe import ShapesOnly
from by_hand import count

K = 10
TINY = {"g_channels": 2, "d_channels": 2}


def pair(network: Callable[..., Any] = biggan_32, **settings: Any) -> tuple[Any, Any]:
    make_generator, make_discriminator = network(**{**TINY, **settings})
    return make_generator(), make_discriminator()


IMAGENET = {"condition_dim": 1000, "g_channels": 64, "d_channels": 64}
CIFAR = {"z_dim": 128, "condition_dim": 10, "shared_dim": None, "hierarchical": False, "init": "normal"}


@pytest.mark.parametrize(
    ("network", "settings", "g_count", "d_count", "features"),
    [
        (biggan_128, {**IMAGENET, "g_channels": 96, "d_channels": 96}, 70_433_988, 87_982_370, 1536),
        (biggan_128, IMAGENET, 31_978_628, 39_448_258, 1024),
        (biggan_128, {**IMAGENET, "condition_dim": 1, "attention": None}, 31_830_275, 38_420_161, 1024),
        (biggan_32, {**CIFAR, "g_channels": 64, "d_channels": 64}, 4_304_387, 4_207_361, 256),
        (biggan_32, {"condition_dim": 10, "g_channels": 64, "d_channels": 64}, 4_358_915, 4_207_361, 256),
    ],
)
def test_counts_are_those_of_biggan_pytorch(network, settings, g_count, d_count, features):
    with torch.device("meta"), ShapesOnly():
        generator, discriminator = pair(network, **settings)
    assert (count(generator), count(discriminator)) == (g_count, d_count)
    assert discriminator.feature_dim == features


def test_a_condition_costs_an_embedding_in_each_network():
    with torch.device("meta"), ShapesOnly():
        one, two = (pair(biggan_128, condition_dim=k, g_channels=96, d_channels=96) for k in (1, 513))
    assert count(two[0]) - count(one[0]) == 512 * 128
    assert count(two[1]) - count(one[1]) == 512 * 1536


@pytest.mark.parametrize(
    ("network", "asked", "z_dim", "chunk"),
    [
        (biggan_32, 128, 128, 32),
        (biggan_32, 123, 120, 30),
        (biggan_128, 120, 120, 20),
        (biggan_128, 128, 126, 21),
    ],
)
def test_hierarchical_z_is_rounded_down_to_even_chunks(network, asked, z_dim, chunk):
    generator, _ = pair(network, z_dim=asked, attention=None)
    assert (generator.z_dim, generator.linear.in_features) == (z_dim, chunk)
    assert generator.blocks[0].norm1.hidden.in_features == chunk


def test_shapes_and_indices_at_128_pixels():
    """LT-GAN reads the last block; DISP's FreezeD keeps the first four, the attention after the first among them."""
    generator, discriminator = pair(biggan_128, condition_dim=K, g_channels=8, d_channels=8)
    shapes = []
    for block in discriminator.blocks:
        block.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    discriminator.blocks[:4].requires_grad_(False)
    images = generator(torch.randn(2, 120), torch.randn(2, K))
    assert images.shape == (2, 3, 128, 128) and images.abs().max() <= 1 and images.std() > 0.01
    discriminator(images, torch.randn(2, K)).sum().backward()
    assert shapes == [(8, 64, 64), (16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4), (128, 4, 4)]
    assert [block.attention is not None for block in discriminator.blocks] == [True, *[False] * 5]
    assert [block.attention is not None for block in generator.blocks] == [False] * 3 + [True, False]
    free = {name for name, value in discriminator.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in free if name.startswith("blocks")} == {"4", "5"}
    assert not any("attention" in name for name in free)
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert not parameter.requires_grad or parameter.grad is not None, name


def test_paper_scale_shapes_take_less_than_two_seconds(computes_within):
    with torch.device("meta"), torch.no_grad(), ShapesOnly():
        pair()  # torch imports its meta kernels on first use
        with computes_within(2):
            generator, discriminator = pair(biggan_128, condition_dim=4096, g_channels=96, d_channels=96)
            y = torch.empty(1, 4096)
            images = generator.eval()(torch.empty(1, 120), y)
            assert images.shape == (1, 3, 128, 128) and discriminator.eval()(images, y).shape == (1,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"z_dim": 3}, "z_dim=3 must be at least 4"),
        ({"z_dim": 2.5}, "z_dim=2.5 must be a positive whole number"),
        ({"g_channels": "64"}, "g_channels='64' must be a positive whole number"),
        ({"shared_dim": None, "condition_dim": K}, "shared_dim=None needs hierarchical=false"),
        ({"modulation": "none"}, "modulation='none' needs hierarchical=false"),
        ({"modulation": "slef"}, "unknown modulation 'slef'; did you mean 'self'"),
        ({"modulation_hidden": -1}, "modulation_hidden=-1 must be"),
        ({"attention": 64}, "attention=64 must be null or one of the sizes 16, 8"),
        ({"attention": 16}, "d_channels=2 must be a positive multiple of 8"),
        ({"init": "ortho"}, "unknown init 'ortho'; did you mean 'orthogonal'"),
        ({"sn_eps": 0}, "sn_eps=0 must be a number between 0 and 1"),
        ({"d_wide": 1}, "d_wide=1 must be true or false"),
        ({"d_feature": 0}, "d_feature=0 must be a positive whole number"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        biggan_32(**{"d_channels": 2, "g_channels": 8, **settings})


def test_at_64_px_the_layout_is_biggan_pytorchs():
    """Its `G_arch` and `D_arch` of 64: counted here from the widths, block by block, without the attention."""
    with torch.device("meta"), ShapesOnly():
        generator, discriminator = pair(biggan_64, attention=None, g_channels=64, d_channels=64)
    assert (generator.resolution, discriminator.feature_dim) == (64, 16 * 64)
    wide = [64 * factor for factor in (1, 2, 4, 8, 16)]
    blocks = 0
    for before, after, shortcut in zip([3, *wide], wide, [True] * 4 + [True], strict=False):
        blocks += 9 * (before * after + after * after) + 2 * after + shortcut * (before * after + after)
    assert count(discriminator) == blocks + wide[-1] + 1
