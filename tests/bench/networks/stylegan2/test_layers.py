"""StyleGAN2's layers and networks against the plain forms of their formulas, in float64."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import nn
from torch.nn import functional as F

from bench.networks.common import noise
from bench.networks.stylegan2.last_map import append_minibatch_std
from bench.networks.stylegan2.layers import (
    EqualConv,
    EqualLinear,
    StyledConv,
    ToRGB,
    UpStyledConv,
    activate,
    binomial,
    blur,
    double,
    halve,
    unit_second_moment,
)
from bench.networks.stylegan2.recipes import stylegan2_32
from style_networks import draw64, jolted, style_pair

K = 9
TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def resampled(x, up, down, before, after):
    """Zeros between samples, zeros around, [1, 3, 3, 1] along both axes, every down-th sample: scipy's."""
    x = x.detach().numpy()
    for axis in (2, 3):
        full = scipy.signal.upfirdn(TAPS * up, x, up=up, axis=axis)  # all taps - 1 zeros on both sides
        wanted = x.shape[axis] * up + before + after - 3
        start = 3 - before
        padded = np.concatenate([full, np.zeros_like(full)], axis=axis)
        x = np.take(padded, np.arange(start, start + wanted, down), axis=axis)
    return torch.from_numpy(x)


@pytest.mark.parametrize("size", [4, 7, 16])
def test_the_filter_is_scipys(size):
    x = draw64(2, 3, size, size)
    torch.testing.assert_close(blur(x, binomial().double(), padding=1), resampled(x, 1, 1, 1, 1))
    torch.testing.assert_close(blur(x, binomial().double(), padding=2), resampled(x, 1, 1, 2, 2))
    torch.testing.assert_close(double(x, binomial(gain=4.0).double()), resampled(x, 2, 1, 2, 1))
    torch.testing.assert_close(halve(x, binomial().double()), resampled(x, 1, 2, 1, 1))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, k: blur(x, k, padding=1),
        lambda x, k: blur(x, k, padding=2),
        lambda x, k: double(x, k),
        lambda x, k: halve(x, k),
    ],
)
@pytest.mark.parametrize("size", [4, 5])
def test_the_filters_derivatives(function, size):
    x, kernel = draw64(1, 2, size, size).requires_grad_(), binomial().double()
    assert torch.autograd.gradcheck(lambda x: function(x, kernel), x)
    assert torch.autograd.gradgradcheck(lambda x: function(x, kernel).pow(3), x)


def plain_layer(x, layer, lr_mul):
    bias = 0 if layer.bias is None else layer.bias * lr_mul
    return x @ layer.weight.T * (lr_mul / math.sqrt(x.shape[1])) + bias


def lrelu(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def clamped(x, limit):
    return x if limit is None else x.clamp(-limit, limit)


def resample(x, up, before, after, gain=1.0):
    spread = x.new_zeros(*x.shape[:2], up * x.shape[2], up * x.shape[3])
    spread[:, :, ::up, ::up] = x
    taps = torch.from_numpy(np.outer([1, 3, 3, 1], [1, 3, 3, 1]) * (gain / 64.0))
    padded = F.pad(spread, (before, after, before, after))
    return F.conv2d(padded, taps.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def plain_modulated(x, weight, style, up, demodulate):
    maps = []
    for image, one in zip(x[:, None], style, strict=True):
        kernel = weight * one[None, :, None, None]
        if demodulate:
            kernel = kernel / (kernel.pow(2).sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            spread = image.new_zeros(1, image.shape[1], 2 * image.shape[2], 2 * image.shape[3])
            spread[:, :, ::2, ::2] = image
            full = F.conv2d(spread, kernel.flip(2, 3), padding=2)
            maps.append(resample(full, 1, 1, 0, gain=4.0))
        else:
            maps.append(F.conv2d(image, kernel, padding=kernel.shape[-1] // 2))
    return torch.cat(maps)


def plain_styled(layer, x, w, up):
    h = plain_modulated(x, layer.weight, plain_layer(w, layer.affine, 1), up, True)
    return clamped(lrelu(h + layer.noise_map * layer.noise_strength + layer.bias[:, None, None]), layer.clamp)


def plain_rgb(layer, x, w):
    style = plain_layer(w, layer.affine, 1) / math.sqrt(x.shape[1])
    h = plain_modulated(x, layer.weight, style, False, False) + layer.bias[:, None, None]
    return clamped(h, layer.clamp)


def derivatives(layer, output, inputs):
    """The first derivatives of a curved function of the output, and those of their squared size."""
    variables = [*inputs, *layer.parameters()]
    first = torch.autograd.grad(output.pow(3).sum(), variables, create_graph=True)
    return [*first, *torch.autograd.grad(sum(grad.pow(2).sum() for grad in first), variables)]


@pytest.mark.parametrize("kind", ["plain", "up", "rgb"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_modulated_layer_is_the_form_with_one_kernel_an_image(kind, layout):
    torch.manual_seed(0)
    layer: nn.Module = {
        "plain": lambda: StyledConv(5, 6, 7, 8, None),
        "up": lambda: UpStyledConv(5, 6, 7, 16, None),
        "rgb": lambda: ToRGB(5, 7, None),
    }[kind]()
    layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(draw64(*parameter.shape, seed=3) * 0.3)
    x = draw64(3, 5, 8, 8).contiguous(memory_format=layout).requires_grad_()
    w = draw64(3, 7, seed=1).requires_grad_()
    if kind == "rgb":
        actual, expected = layer(x, w), plain_rgb(layer, x, w)
    else:
        actual, expected = layer(x, w, "const"), plain_styled(layer, x, w, up=kind == "up")
    torch.testing.assert_close(actual, expected)
    found, wanted = derivatives(layer, actual, [x, w]), derivatives(layer, expected, [x, w])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)  # float64 defaults, rtol 1e-7: rounding alone is near 1e-12


def test_noise_is_one_map_an_image_from_the_active_stream():
    layer = StyledConv(2, 3, 4, 8, None)
    x, w = draw64(2, 2, 8, 8).float(), draw64(2, 4).float()
    nn.init.constant_(layer.noise_strength, 0.5)
    silent = layer(x, w, "none")
    with noise.drawn_from(torch.Generator().manual_seed(7)):
        noisy = layer(x, w, "random")
    expected = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(7)) * 0.5

    def before(h):  # undo the activation
        return torch.where(h > 0, h, h / 0.2) / math.sqrt(2)

    torch.testing.assert_close(before(noisy) - before(silent), expected.expand(2, 3, 8, 8), atol=1e-5, rtol=0)
    with pytest.raises(RuntimeError, match="drawn_from"):
        layer(x, w, "random")


def test_equalised_layers_scale_their_weights():
    torch.manual_seed(0)
    x = draw64(4, 300).float()
    linear = EqualLinear(300, 200, lr_mul=0.01, bias_init=3.0, gain=2.0)
    assert linear.weight.std().item() == pytest.approx(100, rel=0.02)  # 60,000 draws: sd 0.3 %
    expected = 2 * (x @ (linear.weight * 0.01 / math.sqrt(300)).T + 3.0 * 0.01)
    torch.testing.assert_close(linear(x), expected)
    assert torch.equal(EqualLinear(5, 4, bias_init=1.0).bias, torch.ones(4))
    part = EqualLinear(300, 200, bias=False, fan_in=1200)
    torch.testing.assert_close(part(x), x @ part.weight.T / math.sqrt(1200))

    conv = EqualConv(4, 8, 3, gain=0.5)
    nn.init.normal_(conv.bias)
    image = draw64(2, 4, 6, 6).float()
    expected = 0.5 * F.conv2d(image, conv.weight / 6, conv.bias, padding=1)  # sqrt(4 * 9) = 6
    torch.testing.assert_close(conv(image), expected)
    assert conv(image).shape == (2, 8, 6, 6)


def test_unit_second_moment_and_clamp():
    x = draw64(3, 50) * torch.tensor([[1e-3], [1.0], [1e3]], dtype=torch.float64)
    rms = x.square().mean(dim=1, keepdim=True)
    torch.testing.assert_close(unit_second_moment(x), x / (rms + 1e-8).sqrt())
    assert torch.equal(unit_second_moment(torch.zeros(2, 5)), torch.zeros(2, 5))
    torch.testing.assert_close(activate(torch.tensor([-100.0, -1, 2, 50]), 10.0), torch.tensor([-10, -0.2, 2, 10]))
    layer = ToRGB(2, 3, 0.1)
    assert layer(torch.full((1, 2, 4, 4), 50.0), torch.zeros(1, 3)).abs().max() <= 0.1


@pytest.mark.parametrize(("cls", "size", "factor"), [(StyledConv, 8, 64), (UpStyledConv, 4, 16)])
def test_macs_count_the_convolution(cls, size, factor):
    layer, x = cls(5, 6, 7, 8, None), torch.zeros(1, 5, size, size)
    assert layer.macs(x, layer(x, torch.zeros(1, 7), "none")) == factor * 9 * 5 * 6


# --- whole networks ---


def plain_images(synthesis, w):
    x = synthesis.constant_CHW[None].repeat(len(w), 1, 1, 1)
    x = plain_styled(synthesis.conv, x, w[:, 0], False)
    image, position = plain_rgb(synthesis.to_rgb, x, w[:, 1]), 1
    for block in synthesis.blocks:
        x = plain_styled(block.conv0, x, w[:, position], True)
        x = plain_styled(block.conv1, x, w[:, position + 1], False)
        image = resample(image, 2, 2, 1, gain=4.0) + plain_rgb(block.to_rgb, x, w[:, position + 2])
        position += 2
    return image


def plain_conv(layer, x, stride=1, padding=None):
    weight = layer.weight / math.sqrt(layer.weight[0].numel())
    padding = layer.weight.shape[-1] // 2 if padding is None else padding
    return F.conv2d(x, weight, layer.bias, stride, padding)


def plain_main(block, x, clamp):
    h = clamped(lrelu(plain_conv(block.conv0, x)), clamp)
    return clamped(lrelu(plain_conv(block.conv1, resample(h, 1, 2, 2), 2, 0)), clamp)


def plain_features(discriminator, x, residual, clamp):
    rgb, first = discriminator.blocks[0]
    x = clamped(lrelu(plain_conv(rgb, x)), clamp)
    for block in [first, *discriminator.blocks[1:]]:
        if residual:
            skip = plain_conv(block.skip, resample(x, 1, 1, 1)[:, :, ::2, ::2])
            x = (plain_main(block.main, x, clamp) + skip) / math.sqrt(2)
        else:
            x = plain_main(block, x, clamp)
    x = plain_deviation(x, 4)
    x = clamped(lrelu(plain_conv(discriminator.conv, x)), clamp)
    return lrelu(plain_layer(x.flatten(1), discriminator.fc, 1))


def plain_deviation(x, size):
    groups = len(x) // size
    channel = x.new_zeros(len(x), 1, *x.shape[2:])
    for group in range(groups):
        members = [group + groups * member for member in range(size)]
        variance = x[members].var(dim=0, correction=0)
        channel[members] = (variance + 1e-8).sqrt().mean()
    return torch.cat([x, channel], dim=1)


def tiny(**settings):
    return style_pair(stylegan2_32, **{"channel_max": 16, **settings})


@pytest.mark.parametrize("clamp", [None, 0.7])  # 0.7 cuts most maps' tails
def test_synthesis_is_its_plain_form(clamp):
    generator = jolted(tiny(noise="const", clamp=clamp)[0]).eval()
    w = draw64(2, generator.synthesis.layers, 16)  # another w for every layer
    torch.testing.assert_close(generator.synthesis(w), plain_images(generator.synthesis, w))


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_the_discriminator_is_its_plain_form(architecture, clamp):
    discriminator = jolted(tiny(d_architecture=architecture, condition_dim=K, clamp=clamp)[1])
    images, condition = draw64(8, 3, 32, 32), draw64(8, K, seed=1)
    h = plain_features(discriminator, images, architecture == "resnet", clamp)
    torch.testing.assert_close(discriminator.features(images), h)
    head = plain_layer(h, discriminator.linear, 1)[:, 0]
    torch.testing.assert_close(discriminator.unconditional_logits(images), head)
    projection = (plain_layer(condition, discriminator.condition_embedding, 1) * h).sum(dim=1) / 4  # sqrt(16)
    torch.testing.assert_close(discriminator(images, condition), head + projection)


@pytest.mark.parametrize(
    ("images", "group", "size"), [(8, 4, 4), (6, 4, 3), (5, 4, 1), (3, 4, 3), (1, 4, 1), (10, 32, 10)]
)
def test_minibatch_deviation_for_every_batch(images, group, size):
    x = draw64(images, 3, 2, 2)
    torch.testing.assert_close(append_minibatch_std(x, group), plain_deviation(x, size))


def test_the_mapping_network_is_its_plain_form():
    generator = jolted(tiny()[0]).eval()
    z = draw64(4, 12) * 7
    x = z / (z.pow(2).mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for layer in generator.mapping:
        x = lrelu(plain_layer(x, layer, 0.01))
    torch.testing.assert_close(generator.map(z), x)
    torch.testing.assert_close(generator.map(z * 3), generator.map(z))  # z is normalised


@pytest.mark.parametrize("norm", ["joint", "separate"])
def test_a_condition_enters_as_a_concatenation(norm):
    generator = jolted(tiny(condition_dim=K, condition_norm=norm)[0]).eval()
    z, condition = draw64(4, 12), draw64(4, K, seed=1)
    first, _, second = generator.condition_embedding.mlp
    hidden = (plain_layer(condition, first, 1) * math.sqrt(2)).relu()
    embedding = plain_layer(hidden, second, 1)
    torch.testing.assert_close(generator.embed(condition), embedding)

    def unit(x):
        return x / (x.pow(2).mean(dim=1, keepdim=True) + 1e-8).sqrt()

    joint = unit(torch.cat([z, embedding], dim=1))
    x = joint if norm == "joint" else torch.cat([unit(z), unit(embedding)], dim=1)
    weight = torch.cat([generator.mapping[0].weight, generator.condition_embedding.mapping.weight], dim=1)
    x = lrelu(x @ weight.T * (0.01 / math.sqrt(12 + 10)) + generator.mapping[0].bias * 0.01)
    for layer in generator.mapping[1:]:
        x = lrelu(plain_layer(x, layer, 0.01))
    torch.testing.assert_close(generator.map(z, condition), x)
