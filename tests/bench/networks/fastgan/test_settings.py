"""FastGAN's sizes and settings: counts of the released code, shapes, switches, first weights, what is refused."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from bench.errors import UserError
from bench.networks.describe import ShapesOnly
from bench.networks.fastgan import recipes as fastgan
from by_hand import count
from fastgan_by_hand import meta, normal, pair, recipes

SIZES = (64, 128, 256, 512, 1024)


K = 5


@pytest.mark.parametrize(
    ("resolution", "g_count", "d_count"),
    [(256, 29_127_846, 11_526_160), (512, 29_174_392, 11_526_496), (1024, 29_176_512, 11_528_192)],
)
def test_counts_are_those_of_the_released_code(resolution, g_count, d_count):
    generator, discriminator = meta(resolution)
    assert (count(generator), count(discriminator)) == (g_count, d_count)


def sle(low, high):
    return low * high * 16 + high * high


def decoder(in_channels, widths=(128, 64, 64, 32)):
    ups = zip((in_channels, *widths), widths, strict=False)
    return sum(a * 2 * b * 9 + 4 * b for a, b in ups) + widths[-1] * 3 * 9


def test_switches_take_away_exactly_their_parameters():
    full, plain = meta(256), meta(256, skip=False, decoders=False)
    g_sle = sle(1024, 128) + sle(512, 64) + sle(256, 32)
    d_gates = sle(16, 128) + sle(32, 256) + sle(64, 512)
    assert (round(g_sle, -3), round(d_gates, -3)) == (2_774_000, 1_032_000)  # the released modules' sizes
    assert count(full[0]) - count(plain[0]) == g_sle
    assert count(full[1]) - count(plain[1]) == d_gates + decoder(512) + 2 * decoder(256)
    assert count(meta(256, decoders=False)[1]) - count(plain[1]) == d_gates
    assert count(meta(256, skip=False)[0]) == count(plain[0])


def test_the_paper_adds_two_sles_and_two_decoders_to_the_baseline():
    full, plain = meta(256, variant="paper"), meta(256, variant="paper", skip=False, decoders=False)
    assert count(full[0]) - count(plain[0]) == sle(512, 64) + sle(256, 32)
    assert count(full[1]) - count(plain[1]) == decoder(512) + decoder(256)
    # Table 1: the baseline grows by 0.018 million from 256 to 1024 px, both numbers rounded to a thousand.
    released = [sum(map(count, meta(size, skip=False, decoders=False))) for size in (256, 1024)]
    for growth in (
        released[1] - released[0],
        sum(map(count, meta(1024, variant="paper", skip=False, decoders=False))) - sum(map(count, plain)),
    ):
        assert abs(growth - 18_000) <= 1_000


@pytest.mark.parametrize("variant", ["released", "paper"])
@pytest.mark.parametrize("resolution", SIZES)
def test_shapes_at_every_size(resolution, variant):
    generator, discriminator = meta(resolution, variant=variant, condition_dim=K)
    with torch.device("meta"), torch.no_grad(), ShapesOnly():
        condition = torch.empty(2, K)
        images = generator.eval()(torch.empty(2, 256), condition)
        logits, maps = discriminator.eval().forward_with_maps(images, condition)
        pairs = discriminator.reconstruct(maps, images, 0)
    assert images.shape == (2, 3, resolution, resolution) and generator.resolution == resolution
    assert logits.shape == (2, 50 if variant == "released" else 25)
    assert (maps.f1_NCHW.shape, maps.f2_NCHW.shape) == ((2, 256, 16, 16), (2, 512, 8, 8))
    assert discriminator.parts == (4 if variant == "released" else 225)
    assert len(pairs) == (3 if variant == "released" else 2)
    side = min(128, resolution)
    assert all(image.shape == (2, 3, side, side) for both in pairs for image in both)
    assert len(discriminator.blocks) == {64: 4, 128: 5}.get(resolution, 6)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_the_rows_of_the_ablation_share_their_weights(variant):
    full = [network.state_dict() for network in pair(variant=variant)]
    for settings in ({"skip": False}, {"decoders": False}, {"skip": False, "decoders": False}):
        for network, all_of_them in zip(pair(variant=variant, **settings), full, strict=True):
            for key, value in network.state_dict().items():
                if not key.startswith("decoders"):  # +Decode draws them where the full model draws gates
                    assert torch.equal(value, all_of_them[key]), key


def test_initial_weights_have_the_released_spread():
    generator, discriminator = pair(256, ngf=32, ndf=32)
    for network in (generator, discriminator):
        kernels = torch.cat([p.flatten() for n, p in network.named_parameters() if n.endswith("original")])
        gains = torch.cat([m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
        # more than 10^5 kernel weights, more than 500 gains: four standard errors
        for values, mean in ((kernels, 0.0), (gains, 1.0)):
            assert abs(values.mean() - mean) < 4 * 0.02 / len(values) ** 0.5
            assert abs(values.std() / 0.02 - 1) < 4 / (2 * len(values)) ** 0.5


def test_every_convolution_is_normalised_and_none_has_a_bias():
    for network in pair(64):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        assert len(layers) > 5
        assert all(parametrize.is_parametrized(layer) and layer.bias is None for layer in layers)


def test_misuse_is_refused():
    released, paper = pair(64, decoders=False), pair(64, variant="paper")
    x = torch.zeros(2, 3, 64, 64)
    with pytest.raises(ValueError, match="takes 64 px"):
        released[1](torch.zeros(2, 3, 32, 32))
    with pytest.raises(ValueError, match="no decoders"):
        released[1].decode(x, 0)
    with pytest.raises(ValueError, match="no branch for small images"):
        paper[1](x, small_NCHW=x)
    with pytest.raises(ValueError, match="one output"):
        paper[0].both_scales(normal(2, 16))


@pytest.mark.parametrize(
    ("resolution", "override", "message"),
    [
        (64, {"ngf": 0}, "ngf=0 must be a positive whole number"),
        (256, {"ngf": 9}, "ngf=9 must be a positive multiple of 2"),
        (256, {"ndf": 6}, "ndf=6 must be a positive multiple of 4"),
        (1024, {"ndf": 12}, "ndf=12 must be a positive multiple of 8"),
        (64, {"z_dim": "256"}, "z_dim='256' must be"),
        (64, {"condition_dim": True}, "condition_dim=True must be"),
        (64, {"decoder_width": -1}, "decoder_width=-1 must be"),
        (64, {"skip": "no"}, "skip='no' must be true or false"),
        (64, {"decoders": 1}, "decoders=1 must be true or false"),
        (64, {"variant": "realeased"}, "did you mean 'released'"),
    ],
)
def test_impossible_settings_are_named(resolution, override, message):
    with pytest.raises(UserError, match=message):
        recipes(resolution, **override)


@pytest.mark.parametrize("resolution", SIZES)
def test_the_narrowest_widths_build(resolution):
    ngf, ndf = max(1, resolution // 128), max(min(resolution // 64, 4), resolution // 128)
    for variant in ("released", "paper"):
        for network in meta(resolution, ngf=ngf, ndf=ndf, variant=variant):
            assert all(parameter.numel() for parameter in network.parameters())


def test_all_sizes_take_the_same_settings():
    signatures = {str(inspect.signature(getattr(fastgan, f"fastgan_{size}"))) for size in SIZES}
    assert len(signatures) == 1
