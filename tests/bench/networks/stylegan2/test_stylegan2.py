"""The StyleGAN2 pairs: counts, both networks against their plain forms, styles, conditions, double backward."""

import copy
import inspect
import math

import pytest
import torch

from bench.errors import UserError
from bench.networks.stylegan2.recipes import (
    stylegan2_32,
    stylegan2_64,
    stylegan2_128,
    stylegan2_256,
    stylegan2_1024,
)
from by_hand import count
from style_networks import draw, jolted, noise_stream, style_pair

K = 9
ADA_CIFAR = {"channel_base": 32768, "mapping_layers": 2, "d_architecture": "orig", "mbstd_group": 32}


def tiny(recipe=stylegan2_32, **settings):
    return style_pair(recipe, **{"channel_max": 16, **settings})


@pytest.mark.parametrize(
    ("network", "overrides", "g_count", "d_count"),
    [
        (stylegan2_256, {}, 30_034_338, 28_864_129),
        (stylegan2_256, {"width": 0.5}, 24_767_458, 24_001_089),
        (stylegan2_256, {"width": 0.25}, 19_351_810, 19_048_993),
        (stylegan2_1024, {}, 30_370_060, 29_012_513),
        (stylegan2_128, {}, 29_328_669, 28_389_121),
        (stylegan2_32, {}, 13_506_963, 13_918_849),
        (stylegan2_32, ADA_CIFAR, 19_947_539, 20_720_641),
    ],
)
def test_counts_are_those_of_stylegan2_ada(network, overrides, g_count, d_count):
    with torch.device("meta"):
        generator, discriminator = (make() for make in network(**overrides))
    assert (count(generator), count(discriminator)) == (g_count, d_count)


@pytest.mark.parametrize(
    ("network", "resolution"),
    [
        (stylegan2_32, 32),
        (stylegan2_64, 64),
        (stylegan2_128, 128),
        (stylegan2_256, 256),
        (stylegan2_1024, 1024),
    ],
)
@pytest.mark.parametrize("mode", [True, False])
def test_full_size_shapes_without_memory(network, resolution, mode, computes_within):
    _ = torch.empty(1, device="meta") * 2  # the first meta operation imports much of torch, once a process
    with computes_within(2), torch.device("meta"), torch.no_grad():
        generator, discriminator = (make().train(mode) for make in network(condition_dim=K))
        images = generator(torch.empty(1, 512), torch.empty(1, K))
        assert images.shape == (1, 3, resolution, resolution) and generator.resolution == resolution
        assert discriminator(images, torch.empty(1, K)).shape == (1,)
        assert discriminator.features(images).shape == (1, 512)
        assert len(discriminator.blocks) == math.log2(resolution) - 2


def test_conditions_add_a_network_for_g_and_a_matrix_for_d():
    plain, conditional = tiny(), tiny(condition_dim=K)
    mlp = K * 10 + 10 + 10 * 10 + 10
    assert count(conditional[0]) - count(plain[0]) == mlp + 10 * 16
    assert count(conditional[1]) - count(plain[1]) == K * 16


def test_weights_of_the_mapping_network_start_at_one_over_its_learning_rate():
    generator = stylegan2_32(channel_base=256, channel_max=8)[0]()
    assert generator.mapping[3].weight.std().item() == pytest.approx(100, rel=0.01)
    assert generator.mapping[3].weight_gain == pytest.approx(0.01 * math.sqrt(2) / math.sqrt(512))


def test_styles_start_at_one():
    generator, _ = tiny()
    layers = [module for module in generator.modules() if hasattr(module, "affine")]
    assert len(layers) == 2 * len(generator.synthesis.blocks) + 1 + len(generator.synthesis.blocks) + 1
    for layer in layers:
        assert torch.equal(layer.affine(torch.zeros(1, 16)), torch.ones(1, layer.affine.weight.shape[0]))
        assert not getattr(layer, "noise_strength", torch.zeros(())).any() and not layer.bias.any()


def test_forward_is_map_styles_synthesis():
    generator, _ = tiny(condition_dim=K, noise="const")
    generator.eval()
    z, condition = draw(3, 12), draw(3, K, seed=1)
    w = generator.map(z, condition)
    assert w.shape == (3, 16)
    everywhere = w[:, None].expand(-1, generator.synthesis.layers, -1)
    torch.testing.assert_close(generator.styles(z, condition), everywhere)
    images = generator(z, condition)
    torch.testing.assert_close(images, generator.synthesis(everywhere))
    torch.testing.assert_close(images, generator.synthesize(z, generator.embed(condition)))


@pytest.mark.parametrize(("per", "draws"), [("batch", 1), ("image", 64)])
def test_styles_after_the_crossover_are_the_second_latents(per, draws):
    generator, _ = tiny(mixing=0.5, mixing_per=per)
    z, layers = draw(64, 12), generator.synthesis.layers
    crossovers = []
    for seed in range(20):
        with noise_stream(seed):
            styles = generator.styles(z)
        given = torch.Generator().manual_seed(seed)
        second = generator.eval().map(torch.randn(64, 12, generator=given))
        first = generator.map(z)
        chance, place = torch.rand(2, draws, generator=given)
        generator.train()
        for image in range(64):
            one = image % draws
            crossover = 1 + int(place[one] * (layers - 1)) if chance[one] < 0.5 else layers
            torch.testing.assert_close(styles[image, :crossover], first[image].expand(crossover, -1))
            rest = layers - crossover
            torch.testing.assert_close(styles[image, crossover:], second[image].expand(rest, -1))
            crossovers.append(crossover)
    assert set(crossovers) > {layers} and min(crossovers) >= 1
    if per == "image":  # 1,280 draws at one half: six standard deviations are 0.084
        assert crossovers.count(layers) / len(crossovers) == pytest.approx(0.5, abs=0.084)
        assert set(crossovers) == set(range(1, layers + 1))


def test_no_mixing_outside_training_or_at_zero():
    z = draw(3, 12)
    for generator in (tiny()[0].eval(), tiny(mixing=0)[0].train()):
        styles = generator.styles(z)  # no stream is needed
        assert torch.equal(styles, styles[:, :1].expand_as(styles))


def test_w_average_follows_training_and_truncates_sampling():
    generator, _ = tiny(truncation=0.25, noise="none")
    z = draw(5, 12)
    generator.mixing = 0
    with noise_stream():
        styles = generator.styles(z)  # in training, not truncated
    w = generator.eval().map(z)
    torch.testing.assert_close(styles[:, 0], w)
    torch.testing.assert_close(generator.w_average, 0.005 * w.mean(dim=0))
    before = generator.w_average.clone()
    expected = before + 0.25 * (w - before)
    torch.testing.assert_close(generator.styles(z)[:, -1], expected)
    torch.testing.assert_close(generator(z), generator.synthesis(expected[:, None].expand(-1, 8, -1)))
    assert torch.equal(generator.w_average, before)


def test_noise_is_random_in_training_and_chosen_outside():
    generator, _ = tiny(noise="const", mixing=0)
    for module in generator.modules():
        if hasattr(module, "noise_strength"):
            torch.nn.init.constant_(module.noise_strength, 0.3)
    z = draw(2, 12)
    with noise_stream(1):
        first = generator(z)
    with noise_stream(2):
        other = generator(z)
    with noise_stream(1):
        again = generator(z)
    assert torch.equal(first, again) and not torch.allclose(first, other)
    with pytest.raises(RuntimeError, match="drawn_from"):
        generator(z)
    generator.eval()
    fixed = generator(z)
    assert torch.equal(generator(z), fixed)
    w = generator.styles(z)
    assert not torch.allclose(generator.synthesis(w, noise="none"), fixed)
    with noise_stream(1):
        assert not torch.allclose(generator.synthesis(w, noise="random"), fixed)


def test_r1_reaches_every_weight_of_the_discriminator():
    discriminator = jolted(tiny(condition_dim=K)[1])
    images, condition = draw(4, 3, 32, 32).double().requires_grad_(), draw(4, K).double()

    def penalty():
        logits = discriminator(images, condition)
        (grad,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return grad.pow(2).sum(dim=(1, 2, 3)).mean()

    penalty().backward()
    for name, parameter in discriminator.named_parameters():
        if not name.endswith("bias"):
            assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    check_slope(discriminator, penalty)


def test_path_length_reaches_the_generators_weights():
    generator = jolted(tiny(condition_dim=K)[0])
    z, condition = draw(2, 12).double(), draw(2, K, seed=1).double()
    direction = draw(2, 3, 32, 32, seed=2).double()

    def length():
        with noise_stream(5):
            w = generator.styles(z, condition)
            images = generator.synthesis(w)
        (grad,) = torch.autograd.grad((images * direction).sum(), w, create_graph=True)
        return grad.pow(2).sum(dim=2).mean(dim=1).sqrt().mean()

    length().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert generator.synthesis.blocks[-1].conv0.weight.grad.abs().sum() > 0
    assert generator.mapping[0].weight.grad.abs().sum() > 0
    check_slope(generator, length)


def check_slope(network, function):
    """The derivative along the gradient equals a central difference."""
    grads = [parameter.grad for parameter in network.parameters()]
    squares = sum(grad.pow(2).sum() for grad in grads if grad is not None)
    step = 1e-6 / squares.sqrt()  # a move of 1e-6: the kinks of the leaky ReLU and the curvature stay away
    values = []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, grad in zip(network.parameters(), grads, strict=True):
                if grad is not None:
                    parameter.add_(grad, alpha=sign * step.item())
        values.append(function().item())
    slope = (values[0] - values[1]) / (2 * step.item())
    assert slope == pytest.approx(squares.item(), rel=1e-3)


def test_gradients_reach_everything_in_a_step():
    generator, discriminator = tiny(condition_dim=K)
    with noise_stream():
        images = generator(draw(4, 12), draw(4, K, seed=1))
    discriminator(images, draw(4, K, seed=1)).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_deepcopy_and_state_dict_carry_everything():
    generator, _ = tiny(noise="const")
    with noise_stream():
        generator(draw(4, 12))
    loaded, _ = tiny(noise="const")
    loaded.load_state_dict(generator.state_dict())
    z = draw(2, 12)
    for network in (copy.deepcopy(generator), loaded):
        assert torch.equal(network.eval()(z), generator.eval()(z))
        assert torch.equal(network.w_average, generator.w_average)
    assert not any("kernel_KK" in key for key in generator.state_dict())


def test_a_clamp_bounds_the_maps():
    generator, discriminator = tiny(clamp=0.01, noise="none")
    maps = discriminator.feature_maps(draw(2, 3, 32, 32))
    assert maps.abs().max() <= 0.01
    # four images of at most 0.01, each enlarged by a filter that keeps the mean
    assert generator.eval()(draw(2, 12)).abs().max() <= 0.04 + 1e-6


@pytest.mark.parametrize(
    ("network", "override", "message"),
    [
        (stylegan2_32, {"z_dim": 0}, "z_dim=0 must be a positive whole number"),
        (stylegan2_32, {"condition_dim": True}, "condition_dim=True must be"),
        (stylegan2_32, {"mapping_layers": "8"}, "mapping_layers='8' must be"),
        (stylegan2_32, {"mixing": 1.5}, "mixing=1.5 must be a number from 0 to 1"),
        (stylegan2_32, {"truncation": -0.1}, "truncation=-0.1 must be a number from 0 to 1"),
        (stylegan2_32, {"width": math.nan}, "width=nan must be a number"),
        (stylegan2_32, {"clamp": 0}, "clamp=0 must be"),
        (stylegan2_1024, {"width": 0.01}, "must be at least 0.03125"),
        (stylegan2_256, {"noise": "constant"}, "did you mean 'const'"),
        (stylegan2_256, {"d_architecture": "resnt"}, "did you mean 'resnet'"),
        (stylegan2_256, {"condition_norm": ["joint"]}, "unknown condition_norm"),
    ],
)
def test_impossible_settings_are_named(network, override, message):
    with pytest.raises(UserError, match=message):
        network(**override)


def test_settings_can_be_read_from_the_signature():
    assert inspect.signature(stylegan2_32).parameters["channel_base"].default == 4096
    assert inspect.signature(stylegan2_256).parameters["channel_base"].default == 32768
    assert "resolution" not in inspect.signature(stylegan2_256).parameters
