"""SNDCGAN against plain transcriptions in float64, its counts, LT-GAN's layer indices, conditions, settings."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from bench.errors import UserError
from bench.networks.describe import weightless
from bench.networks.sngan.sndcgan_recipes import sndcgan_32, sndcgan_128
from by_hand import batch_normed, close, conditionally_normed, count, linear, lively, normal, weight

K = 5
TINY = {"g_width": 16, "d_width": 16}


def pair(network: Callable[..., Any] = sndcgan_32, **settings: Any) -> tuple[Any, Any]:
    make_generator, make_discriminator = network(**{**TINY, **settings})
    return make_generator(), make_discriminator()


def spread(x, kernel, bias, stride, size):
    """A transposed convolution by its definition: every pixel adds its copy of the kernel; one pixel is cut off."""
    n, _, height, width = x.shape
    out = torch.zeros(n, kernel.shape[1], size + 2, size + 2, dtype=x.dtype)
    side = kernel.shape[2]
    for i in range(height):
        for j in range(width):
            patch = torch.einsum("nc,cokl->nokl", x[:, :, i, j], kernel)
            out[:, :, stride * i : stride * i + side, stride * j : stride * j + side] += patch
    return out[:, :, 1:-1, 1:-1] + bias[None, :, None, None]


def conv(x, kernel, bias, stride):
    """A convolution as products with patches: the border is one pixel of zeros."""
    patches = F.pad(x, (1, 1, 1, 1)).unfold(2, kernel.shape[2], stride).unfold(3, kernel.shape[3], stride)
    return torch.einsum("nchwkl,ockl->nohw", patches, kernel) + bias[None, :, None, None]


def generator_by_hand(generator, z, embedding=None):
    h = batch_normed(linear(z, generator.linear)[:, :, None, None], generator.norm).clamp_min(0)
    h = h.reshape(len(z), -1, generator.bottom, generator.bottom)
    for block in generator.blocks:
        h = spread(h, block.conv.weight, block.conv.bias, 2, 2 * h.shape[2])
        h = conditionally_normed(h, block.norm, embedding).clamp_min(0)
    return spread(h, generator.conv.weight, generator.conv.bias, 1, h.shape[2]).tanh()


@pytest.mark.parametrize(
    ("network", "g_count", "d_count"),
    [(sndcgan_32, 3_828_739, 5_860_865), (sndcgan_128, 19_926_019, 5_983_745)],
)
def test_counts_are_those_of_compare_gans_layers(network, g_count, d_count):
    with weightless():
        generator, discriminator = pair(network, g_width=512, d_width=512)
    assert (count(generator), count(discriminator)) == (g_count, d_count)


@pytest.mark.parametrize(
    ("network", "layer", "shape"),
    [(sndcgan_32, 5, (256, 8, 8)), (sndcgan_32, 7, (512, 4, 4)), (sndcgan_128, 7, (512, 16, 16))],
)
def test_lt_gans_layers_are_block_outputs(network, layer, shape):
    with weightless():
        _, discriminator = pair(network, g_width=512, d_width=512)
        h = torch.empty(1, 3, *[32 if network is sndcgan_32 else 128] * 2)
        for block in discriminator.eval().blocks[:layer]:
            h = block(h)
    assert h.shape[1:] == shape
    assert len(discriminator.blocks) == 7


@pytest.mark.parametrize("condition_dim", [None, K])
def test_generator_is_its_formula(condition_dim):
    generator = lively(pair(condition_dim=condition_dim, shared_dim=4, z_dim=6, g_width=8)[0], times=10)
    z = normal(2, 6)
    y = () if condition_dim is None else (normal(2, K),)
    embedding = y[0] @ generator.condition_embedding.weight.T if y else None
    images = generator(z, *y)
    assert images.shape == (2, 3, 32, 32)
    close(images, generator_by_hand(generator, z, embedding))


def test_first_norm_takes_every_unit_by_itself():
    generator = pair(z_dim=6)[0].double()
    z = normal(16, 6)
    units = z @ generator.linear.weight.T + generator.linear.bias
    generator(z)
    # momentum 0.1, from mean 0 and variance 1; the running variance is the unbiased one
    close(generator.norm.running_mean, 0.1 * units.mean(dim=0))
    close(generator.norm.running_var, 0.9 + 0.1 * units.var(dim=0))


@pytest.mark.parametrize("slope", [0.1, 0])
def test_discriminator_is_its_formula(slope):
    discriminator = lively(pair(condition_dim=K, d_width=16, d_slope=slope)[1], times=10)
    images, y = normal(2, 3, 32, 32), normal(2, K)
    h = images
    for position, block in enumerate(discriminator.blocks):
        stride = 1 + position % 2
        assert block.conv.kernel_size == (2 + stride,) * 2
        h = conv(h, weight(block.conv), block.conv.bias, stride)
        h = h.clamp_min(0) + slope * h.clamp_max(0)
        close(block_output(discriminator, images, position), h)
    features = h.flatten(1)
    logits = features @ weight(discriminator.linear)[0] + discriminator.linear.bias
    close(discriminator.features(images), features)
    close(discriminator.unconditional_logits(images), logits)
    projected = y @ weight(discriminator.condition_embedding).T
    close(discriminator(images, y), logits + (projected * features).sum(1))


def block_output(discriminator, images, position):
    h = images
    for block in discriminator.blocks[: position + 1]:
        h = block(h)
    return h


def test_spectral_norm_is_in_the_discriminator_alone():
    def layers(network):
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        return [module for module in network.modules() if isinstance(module, kinds)]

    generator, discriminator = pair(condition_dim=K)
    assert not any(parametrize.is_parametrized(layer) for layer in layers(generator))
    assert all(parametrize.is_parametrized(layer) for layer in layers(discriminator))


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = pair()[1].double().blocks[1].conv
    with torch.no_grad():
        for _ in range(3000):
            layer.weight  # noqa: B018  (each access in training mode is one power iteration)
    original = layer.parametrizations.weight.original.detach()
    sigma = torch.linalg.svdvals(original.flatten(1))[0]
    # 3,000 iterations shrink the error by (s2/s1)^6000, below the tolerance for any gap over 0.5 %
    torch.testing.assert_close(layer.weight.detach(), original / sigma, rtol=1e-8, atol=1e-12)


def test_weights_start_small_and_biases_at_zero():
    generator, discriminator = pair(condition_dim=K, g_width=64, d_width=64)
    kernels = [generator.linear.weight, discriminator.blocks[5].conv.parametrizations.weight.original]
    for kernel in kernels:
        # at least 32,768 draws: the sample deviation's relative sd is 1 / sqrt(2n) = 0.4 %, so 2 % is 5 sd
        assert kernel.numel() >= 32_768 and kernel.std().item() == pytest.approx(0.02, rel=0.02)
    biases = [
        value for network in (generator, discriminator) for n, value in network.named_parameters() if n.endswith("bias")
    ]
    assert len(biases) > 10 and all((bias == 0).all() for bias in biases)


def test_gradients_reach_every_parameter():
    generator, discriminator = pair(condition_dim=K)
    y = torch.randn(3, K)
    discriminator(generator(torch.randn(3, 128), y), y).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"g_width": 20}, "g_width=20 must be a positive multiple of 8"),
        ({"z_dim": 0}, "z_dim=0 must be a positive whole number"),
        ({"condition_dim": -2}, "condition_dim=-2 must be"),
        ({"d_slope": 1}, "d_slope=1 must be a number from 0"),
        ({"d_slope": True}, "d_slope=True must be"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        sndcgan_128(**settings)
