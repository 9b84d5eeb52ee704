"""SNGAN at 48 pixels, in both forms, against plain transcriptions in float64; counts, the rectified shortcut."""

from typing import Any

import pytest
import torch

from bench.errors import UserError
from bench.networks.describe import weightless
from bench.networks.sngan import recipes as sngan
from bench.networks.sngan.recipes_48 import sngan_48
from by_hand import close, conditionally_normed, conv, count, doubled, halved, linear, lively, normal, weight

K = 5
TINY = {"g_width": 8, "d_width": 16}


def pair(**settings: Any) -> tuple[Any, Any]:
    make_generator, make_discriminator = sngan_48(**{**TINY, **settings})
    return make_generator(), make_discriminator()


def with_zeros(x):
    n, c, h, w = x.shape
    out = torch.zeros(n, c, 2 * h, 2 * w, dtype=x.dtype)
    out[:, :, ::2, ::2] = x
    return out


def generator_by_hand(generator, z, embedding, enlarge):
    """The last map before the non-linearity; `enlarge` doubles a map."""
    h = linear(z, generator.linear).reshape(len(z), -1, 6, 6)
    for block in generator.blocks:
        main = conv(enlarge(conditionally_normed(h, block.norm1, embedding).clamp_min(0)), block.conv1)
        main = conv(conditionally_normed(main, block.norm2, embedding).clamp_min(0), block.conv2)
        h = main + conv(enlarge(h), block.shortcut)
    return conv(conditionally_normed(h, generator.norm, None).clamp_min(0), generator.conv)


@pytest.mark.parametrize(
    ("variant", "g_count", "d_count"),
    [
        ("mimicry", 4_878_083, 10_141_441),
        # by hand, convolution by convolution, from compare_gan's layer list
        ("compare_gan", 2_377_728 + 2_951_424 + 738_432 + 184_896 + 1_859, 25_114_817),
    ],
)
def test_counts(variant, g_count, d_count):
    with weightless():
        generator, discriminator = pair(variant=variant, g_width=512, d_width=1024)
    assert (count(generator), count(discriminator)) == (g_count, d_count)


@pytest.mark.parametrize("variant", ["mimicry", "compare_gan"])
@pytest.mark.parametrize("condition_dim", [None, K])
@pytest.mark.parametrize("sn_generator", [True, False])
def test_generator_is_its_formula(variant, condition_dim, sn_generator):
    settings = {"condition_dim": condition_dim, "shared_dim": 4, "z_dim": 6, "sn_generator": sn_generator}
    generator = lively(pair(variant=variant, **settings)[0], times=3)
    z = normal(2, 6)
    y = () if condition_dim is None else (normal(2, K),)
    embedding = y[0] @ generator.condition_embedding.weight.T if y else None
    images = generator(z, *y)
    assert images.shape == (2, 3, 48, 48) and (generator.resolution, generator.z_dim) == (48, 6)
    if variant == "mimicry":
        close(images, generator_by_hand(generator, z, embedding, doubled).tanh())
    else:
        close(images, 2 * generator_by_hand(generator, z, embedding, with_zeros).sigmoid() - 1)


@pytest.mark.parametrize("shortcut", ["plain", "rectified"])
def test_mimicrys_discriminator_is_its_formula(shortcut):
    discriminator = lively(pair(condition_dim=K, d_shortcut=shortcut)[1], times=3)
    images, y = normal(2, 3, 48, 48), normal(2, K)
    first, *rest = discriminator.blocks
    h = halved(conv(conv(images, first.conv1).clamp_min(0), first.conv2)) + conv(halved(images), first.shortcut)
    for position, block in enumerate(rest, start=1):
        main = conv(conv(h.clamp_min(0), block.conv1).clamp_min(0), block.conv2)
        skip = conv(h.clamp_min(0) if shortcut == "rectified" else h, block.shortcut)
        h = halved(main + skip) if position < 4 else main + skip
    check_head(discriminator, images, y, h.clamp_min(0).flatten(2).sum(2))


def test_compare_gans_discriminator_is_its_formula():
    discriminator = lively(pair(condition_dim=K, variant="compare_gan")[1], times=3)
    images, y = normal(2, 3, 48, 48), normal(2, K)
    h = (images + 1) / 2
    for position, block in enumerate(discriminator.blocks):
        main = conv(conv(h.clamp_min(0), block.conv1).clamp_min(0), block.conv2)
        skip = conv(h, block.shortcut)
        h = halved(main) + halved(skip) if position < 4 else main + skip
    assert h.shape == (2, 16, 3, 3)
    check_head(discriminator, images, y, h.clamp_min(0).flatten(2).mean(2))


def check_head(discriminator, images, y, features):
    logits = features @ weight(discriminator.linear)[0] + discriminator.linear.bias
    close(discriminator.features(images), features)
    close(discriminator.unconditional_logits(images), logits)
    projected = y @ weight(discriminator.condition_embedding).T
    close(discriminator(images, y), logits + (projected * features).sum(1))


def test_rectified_shortcuts_at_the_other_sizes():
    """A flat block adds ReLU(x), as a first activation that works in place leaves it."""
    for make in (sngan.sngan_32, sngan.sngan_128):
        settings: dict[str, Any] = {"g_width": 16, "d_width": 16, "d_shortcut": "rectified"}
        block = lively(make(**settings)[1](), times=3).blocks[-1]
        x = normal(2, 16, 4, 4)
        rectified = x.clamp_min(0)
        close(block(x), rectified + conv(conv(rectified, block.conv1).clamp_min(0), block.conv2))


@pytest.mark.parametrize("variant", ["mimicry", "compare_gan"])
def test_gradients_reach_every_parameter(variant):
    generator, discriminator = pair(variant=variant, condition_dim=K, sn_generator=True)
    y = torch.randn(3, K)
    discriminator(generator(torch.randn(3, 128), y), y).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_spectral_norm_of_a_transposed_convolution_is_that_of_its_plain_one():
    layer = pair(variant="compare_gan", sn_generator=True)[0].double().blocks[0].conv1
    with torch.no_grad():
        for _ in range(3000):
            layer.weight  # noqa: B018  (each access in training mode is one power iteration)
    original = layer.parametrizations.weight.original.detach()
    plain = original.transpose(0, 1).flip(2, 3)  # (out, in, 3, 3)
    sigma = torch.linalg.svdvals(plain.flatten(1))[0]
    # 3,000 iterations shrink the error by (s2/s1)^6000, below the tolerance for any gap over 0.5 %
    torch.testing.assert_close(layer.weight.detach(), original / sigma, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "mimic"}, "unknown variant 'mimic'; did you mean 'mimicry'"),
        ({"variant": "compare_gan", "upsample": "bilinear"}, "upsample and d_shortcut are settings of"),
        ({"variant": "compare_gan", "z_dim": 0}, "z_dim=0 must be a positive whole number"),
        ({"variant": "compare_gan", "sn_generator": 1}, "sn_generator=1 must be true or false"),
        ({"d_shortcut": "rectifed"}, "unknown d_shortcut 'rectifed'; did you mean 'rectified'"),
        ({"upsample": "nearst"}, "did you mean 'nearest'"),
        ({"g_width": 12}, "g_width=12 must be a positive multiple of 8"),
        ({"d_width": 24}, "d_width=24 must be a positive multiple of 16"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        sngan_48(**settings)
