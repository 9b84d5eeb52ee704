"""Layers against plain transcriptions of their definitions, in float64."""

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import parametrize

from bench.networks.common import layers
from bench.networks.common.layers import (
    ConditionalBatchNorm,
    DownBlock,
    FirstDownBlock,
    FlatBlock,
    UpBlock,
    plain,
    spectral,
)
from by_hand import batch_normed, close, conv, doubled, halved, normalised, singular_vectors


@pytest.fixture
def stream():
    return torch.Generator().manual_seed(7)


def normal(*shape, stream):
    return torch.randn(*shape, generator=stream, dtype=torch.float64)


def with_biases(module, stream):
    """Fresh layers have zero biases, which would hide a missing one."""
    module = module.double()
    for name, parameter in module.named_parameters():
        if parameter.ndim == 1:
            parameter.data = normal(*parameter.shape, stream=stream)
            assert "bias" in name or "weight" in name
    return module


def test_conditional_batch_norm_is_its_formula(stream):
    norm = ConditionalBatchNorm(5, 4, plain).double()
    x, e = normal(6, 5, 3, 3, stream=stream), normal(6, 4, stream=stream)
    gain, bias = 1 + e @ norm.gain.weight.T, e @ norm.bias.weight.T
    expected = normalised(x, norm.norm) * gain[:, :, None, None] + bias[:, :, None, None]
    close(norm(x, e), expected)
    assert norm.gain.bias is None and norm.bias.bias is None
    assert not list(norm.norm.parameters())


def test_conditional_batch_norm_evaluates_with_running_statistics(stream):
    norm = ConditionalBatchNorm(2, 3, plain).double()
    x, e = normal(8, 2, 4, 4, stream=stream) * 3 + 1, torch.zeros(8, 3, dtype=torch.float64)
    norm(x, e)
    # momentum 0.1, from mean 0 and variance 1; the running variance is the unbiased one
    mean = 0.1 * x.mean(dim=(0, 2, 3))
    variance = 0.9 + 0.1 * x.transpose(0, 1).flatten(1).var(dim=1)
    expected = (x - mean[None, :, None, None]) / (variance + 1e-5).sqrt()[None, :, None, None]
    close(norm.eval()(x, e), expected)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_up_block_is_its_formula(stream, upsample):
    block = with_biases(UpBlock(3, 4, 2, upsample, plain), stream)
    x, e = normal(2, 3, 4, 4, stream=stream), normal(2, 2, stream=stream)

    def bilinear(x):
        return F.interpolate(x, size=(8, 8), mode="bilinear", align_corners=False)

    double = doubled if upsample == "nearest" else bilinear
    h = conv(double(block.norm1(x, e).clamp_min(0)), block.conv1)
    h = conv(block.norm2(h, e).clamp_min(0), block.conv2)
    # the definition's order: first double, then the 1x1 convolution
    close(block(x, e), h + conv(double(x), block.shortcut))


def test_up_block_without_condition_has_learned_gains(stream):
    block = with_biases(UpBlock(3, 3, None, "nearest", plain), stream)
    x = normal(4, 3, 2, 2, stream=stream)
    close(block.norm1(x), batch_normed(x, block.norm1))
    assert block(x, None).shape == (4, 3, 4, 4)


def test_first_down_block_is_its_formula(stream):
    block = with_biases(FirstDownBlock(3, 5, plain), stream)
    x = normal(2, 3, 8, 8, stream=stream)
    expected = halved(conv(conv(x, block.conv1).clamp_min(0), block.conv2)) + conv(halved(x), block.shortcut)
    close(block(x), expected)


def test_down_block_is_its_formula(stream):
    block = with_biases(DownBlock(3, 5, plain), stream)
    x = normal(2, 3, 8, 8, stream=stream)
    main = conv(conv(x.clamp_min(0), block.conv1).clamp_min(0), block.conv2)
    # the definition's order: first the 1x1 convolution, then the mean of 2x2
    close(block(x), halved(main) + halved(conv(x, block.shortcut)))
    assert block.conv1.out_channels == 3  # the hidden width is the input's


def test_flat_block_is_its_formula(stream):
    block = with_biases(FlatBlock(4, plain), stream)
    x = normal(2, 4, 4, 4, stream=stream)
    expected = x + conv(conv(x.clamp_min(0), block.conv1).clamp_min(0), block.conv2)
    close(block(x), expected)


@pytest.mark.parametrize("gain", [layers.MAIN_GAIN, 1.0])
def test_glorot_initialisation(gain):
    layer = layers.conv(32, 48, 3, gain, plain)
    bound = gain * (6 / (9 * 32 + 9 * 48)) ** 0.5
    weights = layer.weight.detach()
    assert weights.abs().max() <= bound
    # 13,824 draws: relative sd of the sample deviation sqrt(0.8 / 4n) = 0.4 %, so 2 % is 5 sd
    assert weights.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert layer.bias is not None and torch.equal(layer.bias, torch.zeros(48))


def test_spectral_norm_divides_by_the_largest_singular_value():
    layer = layers.conv(6, 8, 3, 1.0, spectral).double()
    with torch.no_grad():
        for _ in range(2000):
            layer.weight  # noqa: B018  (each access in training mode is one power iteration)
    original = layer.parametrizations.weight.original.detach()
    sigma = torch.linalg.svdvals(original.flatten(1))[0]
    # 2,000 iterations shrink the error by (s2/s1)^4000, below rounding for any gap over 1 %
    torch.testing.assert_close(layer.weight.detach(), original / sigma, rtol=1e-8, atol=1e-12)


def test_one_power_iteration_in_a_cached_step():
    layer = layers.linear(9, 5, spectral).double()
    weight = layer.parametrizations.weight.original.detach()
    v = singular_vectors(layer)[1].clone()
    with parametrize.cached():
        for _ in range(3):
            layer(torch.ones(2, 9, dtype=torch.float64))
    u_once = F.normalize(weight @ v, dim=0)
    v_once = F.normalize(weight.T @ u_once, dim=0)
    close(singular_vectors(layer), (u_once, v_once))


def test_evaluation_does_not_iterate():
    layer = layers.linear(9, 5, spectral).eval()
    before = singular_vectors(layer)[0].clone()
    layer(torch.ones(1, 9))
    assert torch.equal(singular_vectors(layer)[0], before)
