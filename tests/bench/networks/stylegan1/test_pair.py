"""The StyleGAN pairs against plain float64 forms of the public port's layers, at every stage of growth."""

import math

import pytest
import torch
from torch.nn import functional as F

from bench.networks.stylegan1.layers import DownConv, HeConv, HeLinear, Styled, UpConv
from bench.networks.stylegan1.recipes import stylegan1_32, stylegan1_128
from style_networks import draw64, jolted, noise_stream, style_pair

K = 9
STAGES = [(0, 1.0), (1, 0.0), (1, 0.3), (1, 1.0), (2, 0.75), (3, 0.0), (3, 0.6), (3, 1.0)]  # of 32 pixels


def tiny(recipe=stylegan1_32, **settings):
    return style_pair(recipe, **{"channel_max": 12, **settings})


# The port's layers, plainly. A layer's scale is sqrt(2 / fan_in) of the weight; biases are as they are.


def he(weight):
    return weight * math.sqrt(2 / weight[0].numel())


def conv(layer, x):
    return F.conv2d(x, he(layer.weight), layer.bias, padding=layer.weight.shape[-1] // 2)


def linear(layer, x):
    return x @ he(layer.weight).T + layer.bias


def lrelu(x):
    return torch.maximum(x, 0.2 * x)


def smooth(x):
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], dtype=x.dtype) / 16
    channels = x.shape[1]
    return F.conv2d(x, kernel.repeat(channels, 1, 1, 1), padding=1, groups=channels)


def four_shifts(weight):
    """The mean of a kernel shifted by nought or one along both axes."""
    w = F.pad(weight, [1, 1, 1, 1])
    return (w[:, :, 1:, 1:] + w[:, :, :-1, 1:] + w[:, :, 1:, :-1] + w[:, :, :-1, :-1]) / 4


def up_conv(layer, x, fused):
    if not fused:
        return smooth(conv(layer, x.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    kernel = four_shifts(he(layer.weight).flip(2, 3)).transpose(0, 1)
    return smooth(F.conv_transpose2d(x, kernel, layer.bias, stride=2, padding=1))


def down_conv(layer, x):
    return F.avg_pool2d(conv(layer, smooth(x)), 2)


def styled(layer, h, w, noise_map):
    channels = h.shape[1]
    h = lrelu(h + noise_map * (layer.noise_strength * math.sqrt(2 / channels)).view(1, -1, 1, 1))
    style = linear(layer.affine, w)
    mean, variance = h.mean(dim=(2, 3), keepdim=True), h.var(dim=(2, 3), unbiased=False, keepdim=True)
    gamma, beta = style[:, :channels, None, None], style[:, channels:, None, None]
    return gamma * (h - mean) / (variance + 1e-5).sqrt() + beta


def mapped(generator, z):
    h = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for layer in generator.mapping:
        h = lrelu(h @ (0.01 * he(layer.weight)).T + 0.01 * layer.bias)
    return h


def synthesised(generator, w, maps, level, alpha):
    """The port's generator: images of 4 * 2^level pixels."""
    synthesis, h, before = generator.synthesis, None, None
    for number, block in enumerate(synthesis.blocks[: level + 1]):
        before = h
        if number == 0:
            h = block.first.constant_CHW[None].expand(len(w), -1, -1, -1)
        else:
            h = up_conv(block.first, h, fused=4 * 2**number >= 128)
        h = styled(block.style0, h, w[:, number], maps[number])
        h = styled(block.style1, conv(block.conv, h), w[:, number], maps[number])
    rgb = conv(synthesis.to_rgb[level], h)
    if level > 0 and alpha < 1:
        old = conv(synthesis.to_rgb[level - 1], before)
        rgb = (1 - alpha) * old.repeat_interleave(2, 2).repeat_interleave(2, 3) + alpha * rgb
    return rgb


def judged(discriminator, images, level, alpha, slope=0.2):
    """The port's discriminator on images of 4 * 2^level pixels."""
    layers, top = discriminator, len(discriminator.blocks)
    blocks = [layers.blocks[0][1], *layers.blocks[1:]]
    rgb = [*layers.from_rgb, layers.blocks[0][0]]

    def entered(number, x):
        h = conv(rgb[number], x)
        return torch.maximum(h, slope * h)

    h = entered(level, images)
    for number in range(level, 0, -1):
        block = blocks[top - number]
        h = lrelu(down_conv(block.conv1, lrelu(conv(block.conv0, h))))
        if number == level and alpha < 1:
            h = (1 - alpha) * entered(level - 1, F.avg_pool2d(images, 2)) + alpha * h
    deviation = (h.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    h = torch.cat([h, deviation.expand(len(h), 1, 4, 4)], dim=1)
    h = lrelu(conv(layers.conv, h))
    kernel = layers.fc.weight.unflatten(1, (-1, 4, 4))
    h = lrelu(F.conv2d(h, he(kernel), layers.fc.bias)).flatten(1)
    return linear(layers.linear, h).squeeze(1)


def shrunk(x, size):
    return F.avg_pool2d(x, x.shape[-1] // size)


@pytest.mark.parametrize("size", [4, 16, 32])  # both forms of either layer
@pytest.mark.parametrize("shrink", [1.0, 0.25])
def test_resampling_convolutions_are_the_ports(size, shrink):
    up, down = jolted(UpConv(5, 3, shrink)), jolted(DownConv(5, 3))
    x = draw64(2, 5, size, size)
    torch.testing.assert_close(up(x), up_conv(up, x, fused=shrink == 0.25))
    torch.testing.assert_close(down(x), down_conv(down, x))
    # The port's other form of the same layer.
    kernel = four_shifts(he(down.weight))
    torch.testing.assert_close(down(x), F.conv2d(smooth(x), kernel, down.bias, stride=2, padding=1))


@pytest.mark.parametrize("size", [8, 32])
def test_resampling_has_first_and_second_derivatives(size):
    for layer in (jolted(UpConv(1, 2, 1.0)), jolted(DownConv(1, 2))):
        x = draw64(1, 1, size, size, seed=3).requires_grad_()
        # A random projection in place of all columns: the full Jacobian of 32x32 maps has millions of entries.
        arguments = (x, layer.weight)
        function = lambda x, w, layer=layer: torch.func.functional_call(layer, {"weight": w}, x)  # noqa: E731
        assert torch.autograd.gradcheck(function, arguments, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)


def test_adain_gives_every_channel_its_styles_mean_and_deviation():
    layer = jolted(Styled(6, 16))
    h, w, noise_map = draw64(3, 6, 8, 8), draw64(3, 16, seed=1), draw64(3, 1, 8, 8, seed=2)
    expected = styled(layer, h, w, noise_map)
    ours = layer(h.clone(), w, noise_map)
    torch.testing.assert_close(ours, expected)
    gamma, beta = linear(layer.affine, w).chunk(2, dim=1)
    torch.testing.assert_close(ours.mean(dim=(2, 3)), beta)
    # The epsilon in the variance shows in the fifth digit.
    torch.testing.assert_close(ours.std(dim=(2, 3), correction=0), gamma.abs(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(h.clone(), w, None), styled(layer, h, w, torch.zeros(1, 1, 8, 8)))


def test_layers_start_as_the_ports():
    torch.manual_seed(0)
    layer = Styled(40, 16)
    assert torch.equal(layer.affine(torch.zeros(1, 16)), torch.cat([torch.ones(1, 40), torch.zeros(1, 40)], 1))
    assert not layer.noise_strength.any() and layer.noise_gain == pytest.approx(math.sqrt(2 / 40))
    assert HeConv(64, 64, 3).weight.std().item() == pytest.approx(1, rel=0.02)  # 37k draws
    mapping = HeLinear(256, 256, lr_mul=0.01)
    assert mapping.weight.std().item() == pytest.approx(100, rel=0.02)
    assert mapping.weight_gain == pytest.approx(0.01 * math.sqrt(2 / 256)) and mapping.bias_gain == 0.01


@pytest.mark.parametrize(("level", "alpha"), STAGES)
def test_generator_is_the_ports_with_its_pixels_repeated(level, alpha):
    generator = jolted(tiny(noise="const")[0]).eval()
    generator.grow(level, alpha)
    z, size = draw64(3, 12), 4 * 2**level
    w = mapped(generator, z)[:, None].expand(-1, level + 1, -1)
    torch.testing.assert_close(generator.styles(z), w)
    maps = [block.noise_map for block in generator.synthesis.blocks]
    small = synthesised(generator, w, maps, level, alpha)
    images = generator(z)
    assert images.shape == (3, 3, 32, 32)
    torch.testing.assert_close(images, small.repeat_interleave(32 // size, 2).repeat_interleave(32 // size, 3))
    none = synthesised(generator, w, [torch.zeros(1, 1)] * 4, level, alpha)
    torch.testing.assert_close(shrunk(generator.synthesis(w, noise="none"), size), none)


@pytest.mark.parametrize(("level", "alpha"), STAGES)
@pytest.mark.parametrize("activation", [True, False])
def test_discriminator_is_the_ports_on_shrunk_images(level, alpha, activation):
    discriminator = jolted(tiny(from_rgb_activation=activation)[1])
    discriminator.grow(level, alpha)
    images, slope = draw64(6, 3, 32, 32), 0.2 if activation else 1.0
    expected = judged(discriminator, shrunk(images, 4 * 2**level), level, alpha, slope)
    torch.testing.assert_close(discriminator(images), expected)
    torch.testing.assert_close(discriminator.unconditional_logits(images), expected)
    assert discriminator.feature_maps(images).shape == (6, 12, 4, 4)
    assert discriminator.features(images).shape == (6, 12)


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_from_128_pixels_the_generator_has_the_ports_other_kernel(alpha):
    generator, discriminator = (jolted(network).eval() for network in tiny(stylegan1_128, noise="const"))
    generator.grow(5, alpha)
    discriminator.grow(5, alpha)
    z = draw64(2, 12)
    w = mapped(generator, z)[:, None].expand(-1, 6, -1)
    expected = synthesised(generator, w, [b.noise_map for b in generator.synthesis.blocks], 5, alpha)
    images = generator(z)
    torch.testing.assert_close(images, expected)
    torch.testing.assert_close(discriminator(images), judged(discriminator, expected, 5, alpha))


@pytest.mark.parametrize(("level", "alpha"), [(0, 1.0), (2, 0.3), (3, 0.5), (3, 1.0)])
def test_gradients_are_those_of_training_at_few_pixels(level, alpha):
    generator, discriminator = (jolted(network) for network in tiny(noise="const", mixing=0))
    generator.eval()
    for network in (generator, discriminator):
        network.grow(level, alpha)
    z, parameters = draw64(4, 12), [*generator.parameters(), *discriminator.parameters()]
    loss = F.softplus(-discriminator(generator(z))).mean()
    ours = torch.autograd.grad(loss, parameters, allow_unused=True)
    w = mapped(generator, z)[:, None].expand(-1, level + 1, -1)
    small = synthesised(generator, w, [b.noise_map for b in generator.synthesis.blocks], level, alpha)
    loss = F.softplus(-judged(discriminator, small, level, alpha)).mean()
    expected = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert any(one is not None for one in ours)
    for one, other in zip(ours, expected, strict=True):
        assert (one is None) == (other is None)  # what is not grown yet has no gradient at all
        if one is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("level", "alpha"), [(1, 0.5), (3, 0.5), (3, 1.0)])
def test_r1_is_that_of_the_small_images_times_the_gradient_factor(level, alpha):
    discriminator = jolted(tiny()[1])
    discriminator.grow(level, alpha)
    images = draw64(4, 3, 32, 32).requires_grad_()

    def squared(logits, x):
        (grad,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return grad.square().sum(dim=(1, 2, 3)).mean()

    small = shrunk(images.detach(), 4 * 2**level).requires_grad_()
    ours = squared(discriminator(images), images) * discriminator.gradient_factor
    expected = squared(judged(discriminator, small, level, alpha), small)
    torch.testing.assert_close(ours, expected)
    weights = [p for name, p in discriminator.named_parameters() if name.endswith("weight")]
    grads = torch.autograd.grad(ours, weights, allow_unused=True)
    for one, other in zip(grads, torch.autograd.grad(expected, weights, allow_unused=True), strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


def test_random_noise_is_one_map_a_resolution_from_the_stream():
    generator = jolted(tiny(mixing=0)[0])
    z = draw64(2, 12)
    with noise_stream(4):
        images = generator(z)
    given = torch.Generator().manual_seed(4)
    maps = [torch.randn(2, 1, size, size, generator=given).double() for size in (4, 8, 16, 32)]
    w = mapped(generator, z)[:, None].expand(-1, 4, -1)
    torch.testing.assert_close(images, synthesised(generator, w, maps, 3, 1.0))
    with pytest.raises(RuntimeError, match="drawn_from"):
        generator(z)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_mixing_takes_the_second_latent_from_a_random_resolution_on(level):
    generator = jolted(tiny(mixing=0.5)[0])
    generator.grow(level, 1.0)
    z, crossovers = draw64(5, 12), []
    for seed in range(60):
        with noise_stream(seed):
            styles = generator.styles(z)
        given = torch.Generator().manual_seed(seed)
        second = mapped(generator, torch.randn(5, 12, generator=given).double())
        chance, place = torch.rand(2, generator=given)
        crossover = 1 + int(place * level) if chance < 0.5 else level + 1
        torch.testing.assert_close(styles[:, :crossover], mapped(generator, z)[:, None].expand(-1, crossover, -1))
        torch.testing.assert_close(styles[:, crossover:], second[:, None].expand(-1, level + 1 - crossover, -1))
        crossovers.append(crossover)
    assert set(crossovers) == set(range(1, level + 2))


def test_w_average_follows_training_and_truncates_sampling():
    generator = tiny(truncation=0.25, mixing=0, noise="none")[0].double()
    z = draw64(5, 12)
    w = mapped(generator, z)
    torch.testing.assert_close(generator.map(z), w)
    torch.testing.assert_close(generator.w_average, 0.005 * w.mean(dim=0))
    expected = generator.w_average + 0.25 * (w - generator.w_average)
    torch.testing.assert_close(generator.eval().styles(z)[:, -1], expected)


def test_deviation_of_the_whole_batch_or_of_groups():
    whole, grouped = (jolted(tiny(mbstd_group=group)[1]) for group in (None, 2))
    images = draw64(4, 3, 32, 32)
    # Groups are every second image; a pair alone is a whole batch.
    pairs = torch.stack([whole(images[start::2]) for start in (0, 1)], dim=1).flatten()
    torch.testing.assert_close(grouped(images), pairs)
    assert not torch.allclose(grouped(images), whole(images))
    assert whole.batch_statistics


def test_conditions_enter_both_networks():
    generator, discriminator = (jolted(network) for network in tiny(condition_dim=K, noise="none"))
    generator.eval()
    z, condition = draw64(2, 12), draw64(2, K, seed=1)
    embedding = generator.embed(condition)
    joint = torch.cat([z, embedding], dim=1)
    joint = joint / (joint.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    first, extra = generator.mapping[0], generator.condition_embedding.mapping
    weight = torch.cat([first.weight, extra.weight], dim=1)
    h = lrelu(joint @ (0.01 * he(weight)).T + 0.01 * first.bias)
    for layer in generator.mapping[1:]:
        h = lrelu(h @ (0.01 * he(layer.weight)).T + 0.01 * layer.bias)
    torch.testing.assert_close(generator.styles(z, condition)[:, 2], h)
    images = generator(z, condition)
    torch.testing.assert_close(images, generator.synthesize(z, embedding))
    projection = discriminator.condition_embedding(condition) * discriminator.features(images)
    expected = discriminator.unconditional_logits(images) + projection.sum(dim=1)
    torch.testing.assert_close(discriminator(images, condition), expected)
    with pytest.raises(ValueError, match="needs a condition"):
        discriminator(images)
    with pytest.raises(ValueError, match="needs a condition"):
        generator(z)
    with pytest.raises(ValueError, match="no condition"):
        tiny()[0](z.float(), condition.float())
