"""The SNGAN pairs: counts, interfaces, the maths of conditions, spectral norm in a step, freezing."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from bench.errors import UserError
from bench.networks import build
from bench.networks.describe import weightless
from by_hand import count, weight

TINY = {"g_width": 16, "d_width": 16}
K = 10


def tiny(name="sngan-32", **overrides):
    return build(name, seed=0, **{**TINY, "condition_dim": K, "sn_generator": True, **overrides})


def latents(count=3, z_dim=128, condition_dim=K):
    stream = torch.Generator().manual_seed(1)
    return torch.randn(count, z_dim, generator=stream), torch.randn(count, condition_dim, generator=stream)


@pytest.mark.parametrize(
    ("name", "g_count", "d_count"),
    [
        ("sngan-32", 4_276_739, 1_053_825),
        ("sngan-64", 12_220_675, 10_141_441),
        ("sngan-128", 32_150_787, 29_017_857),
    ],
)
def test_counts_without_conditions_are_mimicrys(name, g_count, d_count):
    with weightless():
        generator, discriminator = build(name)
    assert (count(generator), count(discriminator)) == (g_count, d_count)


@pytest.mark.parametrize(
    ("name", "norm_widths", "feature_dim"),
    [
        ("sngan-32", [256] * 6, 128),
        ("sngan-64", [1024, 512, 512, 256, 256, 128, 128, 64], 1024),
        ("sngan-128", [1024, 1024, 1024, 512, 512, 256, 256, 128, 128, 64], 1024),
    ],
)
def test_counts_of_conditions(name, norm_widths, feature_dim):
    shared, condition = 96, 512
    with weightless():
        plain = build(name)
        conditional = build(name, condition_dim=condition, shared_dim=shared, sn_generator=True)
    # each conditional norm has two (shared, C) matrices in place of a gain and a bias of C
    g_extra = condition * shared + sum(2 * shared * width - 2 * width for width in norm_widths)
    assert count(conditional[0]) - count(plain[0]) == g_extra
    assert count(conditional[1]) - count(plain[1]) == condition * feature_dim


@pytest.mark.parametrize(
    ("name", "resolution", "blocks"), [("sngan-32", 32, 4), ("sngan-64", 64, 5), ("sngan-128", 128, 6)]
)
def test_interfaces(name, resolution, blocks):
    generator, discriminator = tiny(name, z_dim=20)
    z, condition = latents(z_dim=20)
    images = generator(z, condition)
    assert images.shape == (3, 3, resolution, resolution)
    assert images.abs().max() <= 1 and images.std() > 0.01
    assert discriminator(images, condition).shape == (3,)
    assert discriminator.features(images).shape == (3, discriminator.feature_dim)
    assert discriminator.unconditional_logits(images).shape == (3,)
    assert (generator.z_dim, generator.condition_dim, generator.shared_dim) == (20, K, 128)
    assert (generator.resolution, len(discriminator.blocks), discriminator.condition_dim) == (
        resolution,
        blocks,
        K,
    )


def test_four_widths_taper_the_smallest_pair():
    generator, discriminator = tiny(g_width=[32, 24, 16, 8], d_width=[8, 16, 16, 16])
    z, condition = latents()
    assert [block.conv2.out_channels for block in generator.blocks] == [24, 16, 8]
    assert generator.linear.out_features == 32 * 4 * 4
    assert [block.conv2.out_channels for block in discriminator.blocks] == [8, 16, 16, 16]
    images = generator(z, condition)
    assert images.shape == (3, 3, 32, 32)
    assert discriminator(images, condition).shape == (3,)
    assert discriminator.feature_maps(images).shape == (3, 16, 8, 8)


def test_a_third_down_block_ends_at_four_pixels():
    generator, discriminator = tiny(g_width=[32, 32, 16, 8], d_width=[8, 16, 32, 32], d_down=3)
    z, condition = latents()
    images = generator(z, condition)
    assert discriminator.feature_maps(images).shape == (3, 32, 4, 4)
    assert discriminator(images, condition).shape == (3,)


def test_forward_embeds_then_synthesizes():
    generator, _ = tiny()
    generator.eval()
    z, condition = latents()
    embedding = condition @ generator.condition_embedding.weight.T
    torch.testing.assert_close(generator.embed(condition), embedding)
    torch.testing.assert_close(generator(z, condition), generator.synthesize(z, embedding))
    assert not parametrize.is_parametrized(generator.condition_embedding)


def test_features_are_the_rectified_map_summed_over_space():
    _, discriminator = tiny()
    discriminator.eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    h = images
    for block in discriminator.blocks:
        h = block(h)
    expected = h.clamp_min(0).flatten(2).sum(2)
    torch.testing.assert_close(discriminator.features(images), expected)


def test_projection_is_its_formula():
    _, discriminator = tiny()
    discriminator.double().eval()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    condition = latents(4)[1].double()
    h = discriminator.features(images)

    head = h @ weight(discriminator.linear)[0] + discriminator.linear.bias
    projection = torch.einsum("nk,fk,nf->n", condition, weight(discriminator.condition_embedding), h)
    torch.testing.assert_close(discriminator.unconditional_logits(images), head)
    torch.testing.assert_close(discriminator(images, condition), head + projection)


def test_gradients_reach_both_condition_embeddings():
    generator, discriminator = tiny()
    z, condition = latents()
    discriminator(generator(z, condition), condition).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert generator.condition_embedding.weight.grad.abs().sum() > 0
    assert discriminator.condition_embedding.parametrizations.weight.original.grad.abs().sum() > 0


def test_spectral_norm_is_where_it_should_be():
    def normalised(network):
        layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        return {name for name, layer in layers.items() if parametrize.is_parametrized(layer)}, set(layers)

    generator, discriminator = tiny()
    assert normalised(generator)[0] == normalised(generator)[1] - {"condition_embedding"}
    assert normalised(discriminator)[0] == normalised(discriminator)[1]
    assert normalised(tiny(sn_generator=False)[0])[0] == set()


def vectors(network):
    return {name: value.clone() for name, value in network.state_dict().items() if name.endswith(("._u", "._v"))}


def test_a_cached_step_iterates_once_and_a_frozen_network_trains_on(monkeypatch):
    """Two calls of D in a step, with its first five blocks frozen, as in FreezeD."""
    _, discriminator = tiny("sngan-128")
    discriminator.blocks[:5].requires_grad_(False)
    frozen = {name: value.clone() for name, value in discriminator.blocks[:5].named_parameters()}
    norms = [module for name, module in discriminator.named_modules() if name.endswith("parametrizations.weight.0")]
    calls = dict.fromkeys(norms, 0)
    for norm in norms:
        original = norm._power_method  # torch has no public name for it

        def counted(*args, norm=norm, original=original):
            calls[norm] += 1
            return original(*args)

        monkeypatch.setattr(norm, "_power_method", counted)
    before = vectors(discriminator)
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    condition = latents(2)[1]
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)
    with parametrize.cached():
        loss = (discriminator(images, condition) - discriminator(-images, condition)).mean()
        loss.backward()
        optimizer.step()
    assert len(norms) == 19 and set(calls.values()) == {1}
    assert any(not torch.equal(before[name], after) for name, after in vectors(discriminator).items())
    assert all(torch.equal(frozen[name], value) for name, value in discriminator.blocks[:5].named_parameters())
    assert discriminator.blocks[5].conv1.parametrizations.weight.original.grad.abs().sum() > 0


def test_evaluation_leaves_the_network_as_it_is():
    for network, inputs in zip(tiny(), [latents(), (torch.ones(3, 3, 32, 32), latents()[1])], strict=True):
        network.eval()
        before = copy.deepcopy(network.state_dict())
        first = network(*inputs)
        assert torch.equal(network(*inputs), first)
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_deepcopy_and_state_dict_carry_everything():
    z, condition = latents()
    generator, _ = tiny()
    generator(z, condition)  # moves running statistics and singular vectors off their start
    copied = copy.deepcopy(generator)
    loaded, _ = build("sngan-32", seed=5, **TINY, condition_dim=K, sn_generator=True)
    loaded.load_state_dict(generator.state_dict())
    for network in (copied, loaded):
        assert torch.equal(network.eval()(z, condition), generator.eval()(z, condition))
    assert next(copied.parameters()).data_ptr() != next(generator.parameters()).data_ptr()


def test_channels_last_gives_the_same_images():
    z, condition = latents()
    generator, _ = tiny()
    expected = generator.eval()(z, condition)
    actual = generator.to(memory_format=torch.channels_last)(z, condition)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)  # float32 sums in another order


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("sngan-128", {"g_width": 40}, "g_width=40 must be a positive multiple of 16"),
        ("sngan-32", {"d_width": 0}, "d_width=0 must be a positive whole number"),
        ("sngan-32", {"g_width": [16, 16, 8]}, "must be one whole number or four"),
        ("sngan-32", {"g_width": [16, 16, 8, -8]}, "g_width=-8 must be a positive whole number"),
        ("sngan-32", {"d_width": [8, 16, 16, 32]}, "blocks after the first 2 keep the width"),
        ("sngan-32", {"d_width": [8, 16, 32, 48], "d_down": 3}, "blocks after the first 3 keep the width"),
        ("sngan-32", {"d_down": 5}, "d_down=5 must be 2, 3 or 4"),
        ("sngan-32", {"z_dim": "128"}, "z_dim='128' must be a positive whole number"),
        ("sngan-32", {"condition_dim": -1}, "condition_dim=-1 must be"),
        ("sngan-32", {"condition_dim": True}, "condition_dim=True must be"),
        ("sngan-64", {"sn_generator": "yes"}, "sn_generator='yes' must be true or false"),
        ("sngan-32", {"upsample": "nearst"}, "did you mean 'nearest'"),
    ],
)
def test_impossible_settings_are_named(name, override, message):
    with pytest.raises(UserError, match=message):
        build(name, **override)


def test_a_pair_learns_one_image():
    """30 steps: D tells a checkerboard from G's images apart better than at the start."""
    generator, discriminator = tiny()
    z, condition = latents(4)
    board = (torch.arange(32)[:, None] // 8 + torch.arange(32) // 8) % 2 * 2.0 - 1
    real = board.expand(4, 3, 32, 32)
    fake = generator(z, condition).detach()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.0, 0.9))
    gaps = []
    for _ in range(30):
        with parametrize.cached():
            gap = (discriminator(real, condition) - discriminator(fake, condition)).mean()
            optimizer.zero_grad()
            (-gap).backward()
            optimizer.step()
        gaps.append(gap.item())
    assert gaps[-1] > gaps[0] + 1
