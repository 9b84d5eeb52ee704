"""BigGAN against plain transcriptions in float64: norms, blocks, attention, spectral norm, both networks."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from bench.networks.biggan import layers as layers
from bench.networks.biggan.recipes import biggan_32
from bench.networks.common.layers import plain
from by_hand import batch_normed, close, conv, doubled, halved, linear, lively, normal, normalised

K = 10
TINY = {"g_channels": 2, "d_channels": 2}
MAKE = layers.Maker(layers.INITS["orthogonal"], plain)


def pair(**settings: Any) -> tuple[Any, Any]:
    make_generator, make_discriminator = biggan_32(**{**TINY, **settings})
    return make_generator(), make_discriminator()


def any_norm(x, norm, condition):
    """Each kind of norm by its formula."""
    if isinstance(norm, nn.BatchNorm2d):
        return batch_normed(x, norm)
    if isinstance(norm, layers.TableBatchNorm):
        start, channels = norm.offset, norm.channels
        gain, bias = condition[:, start : start + channels], condition[:, start + channels :][:, :channels]
    else:
        h = condition
        if isinstance(norm, layers.SelfModulatedBatchNorm) and norm.hidden is not None:
            h = linear(condition, norm.hidden).clamp_min(0)
        gain, bias = linear(h, norm.gain), linear(h, norm.bias)
    return normalised(x, norm.norm) * (1 + gain[:, :, None, None]) + bias[:, :, None, None]


def attention(x, layer):
    """One position at a time: a softmax over the pooled positions weighs their values."""
    n, _, height, width = x.shape
    queries = conv(x, layer.queries)
    keys, values = (
        y.reshape(n, y.shape[1], height // 2, 2, width // 2, 2).amax(dim=(3, 5)).flatten(2)
        for y in (conv(x, layer.keys), conv(x, layer.values))
    )
    mixed = torch.empty(n, values.shape[1], height, width, dtype=x.dtype)
    for image in range(n):
        for i in range(height):
            for j in range(width):
                scores = (queries[image, :, i, j] @ keys[image]).exp()
                mixed[image, :, i, j] = values[image] @ (scores / scores.sum())
    return x + layer.gamma * conv(mixed, layer.out)


def up_block(x, block, condition):
    h = conv(doubled(any_norm(x, block.norm1, condition).clamp_min(0)), block.conv1)
    h = conv(any_norm(h, block.norm2, condition).clamp_min(0), block.conv2)
    h = h + conv(doubled(x), block.shortcut)
    return h if block.attention is None else attention(h, block.attention)


def down_block(x, block, position, down):
    h = x if position == 0 else x.clamp_min(0)
    h = conv(conv(h, block.conv1).clamp_min(0), block.conv2)
    skip = x if block.shortcut is None else conv(x, block.shortcut)
    h = halved(h) + halved(skip) if down else h + skip
    return h if block.attention is None else attention(h, block.attention)


def generator_by_hand(generator, first, block_conditions):
    h = linear(first, generator.linear).reshape(len(first), -1, 4, 4)
    for block, condition in zip(generator.blocks, block_conditions, strict=True):
        h = up_block(h, block, condition)
    h = conv(any_norm(h, generator.norm, None).clamp_min(0), generator.conv)
    return (2 / (1 + (-2 * h).exp())) - 1  # tanh


def discriminator_by_hand(discriminator, images, down, condition=None):
    h = images
    for position, block in enumerate(discriminator.blocks):
        h = down_block(h, block, position, position < down)
    features = h.clamp_min(0).flatten(2).sum(2)
    logits = linear(features, discriminator.linear)[:, 0]
    if condition is None:
        return features, logits
    return features, logits + (linear(condition, discriminator.condition_embedding) * features).sum(1)


CIFAR = {"z_dim": 128, "condition_dim": 10, "shared_dim": None, "hierarchical": False, "init": "normal"}


@pytest.mark.parametrize("training", [False, True])
def test_conditional_generator_reads_embedding_and_chunk(training):
    generator = lively(pair(condition_dim=K, shared_dim=6, z_dim=20, sn_generator=False)[0]).train(training)
    z, y = normal(3, 20), normal(3, K)
    embedding = y @ generator.condition_embedding.weight.T
    conditions = [torch.cat([embedding, z[:, start : start + 5]], 1) for start in (5, 10, 15)]
    close(generator(z, y), generator_by_hand(generator, z[:, :5], conditions))


def test_spectrally_normalised_generator_with_attention():
    generator = lively(pair(condition_dim=K, shared_dim=4, z_dim=8, attention=16, g_channels=8, d_channels=8)[0])
    z, y = normal(2, 8), normal(2, K)
    embedding = y @ generator.condition_embedding.weight.T
    conditions = [torch.cat([embedding, chunk], 1) for chunk in z.split(2, dim=1)[1:]]
    assert generator.blocks[1].attention is not None
    close(generator(z, y), generator_by_hand(generator, z[:, :2], conditions))
    normalised_layers = {n for n, m in generator.named_modules() if parametrize.is_parametrized(m)}
    every = {n for n, m in generator.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert normalised_layers == every - {"condition_embedding"}


def test_generator_without_chunks_reads_the_embedding_alone():
    generator = lively(pair(condition_dim=K, shared_dim=6, z_dim=7, hierarchical=False)[0])
    z, y = normal(2, 7), normal(2, K)
    embedding = y @ generator.condition_embedding.weight.T
    close(generator(z, y), generator_by_hand(generator, z, [embedding] * 3))


def test_tables_of_gains_are_a_lookup_of_the_class():
    generator = lively(pair(**{**CIFAR, "z_dim": 7})[0])
    z, classes = normal(4, 7), torch.tensor([0, 3, 9, 3])
    rows = generator.condition_embedding.weight.T[classes]
    assert rows.shape == (4, 6 * 2 * 8)  # six norms of eight channels
    offsets = [norm.offset for block in generator.blocks for norm in (block.norm1, block.norm2)]
    assert offsets == [0, 16, 32, 48, 64, 80]
    one_hot = F.one_hot(classes, K).double()
    close(generator(z, one_hot), generator_by_hand(generator, z, [rows] * 3))
    assert not parametrize.is_parametrized(generator.condition_embedding)


@pytest.mark.parametrize("hidden", [32, 0])
@pytest.mark.parametrize("hierarchical", [True, False])
def test_self_modulation_reads_z_alone(hidden, hierarchical):
    generator = lively(pair(z_dim=8, modulation_hidden=hidden, hierarchical=hierarchical)[0])
    z = normal(2, 8)
    first, *rest = z.split(2, dim=1) if hierarchical else [z] * 4
    close(generator(z), generator_by_hand(generator, first, rest))
    assert generator.condition_embedding is None


def test_plain_norms_without_modulation():
    generator = lively(pair(z_dim=8, modulation="none", hierarchical=False)[0])
    z = normal(2, 8)
    close(generator(z), generator_by_hand(generator, z, [None] * 3))


def test_self_modulation_starts_at_gain_one_for_z_zero():
    norm = layers.SelfModulatedBatchNorm(4, 3, 0, MAKE)
    x = torch.randn(5, 4, 2, 2)
    torch.testing.assert_close(norm(x, torch.zeros(5, 3)), norm.norm(x))


def test_attention_is_its_formula_and_starts_as_nothing():
    layer = layers.Attention(16, MAKE).double()
    x = normal(2, 16, 4, 6)
    assert layer.gamma.item() == 0 and torch.equal(layer(x), x)
    layer.gamma.data.fill_(0.7)
    close(layer(x), attention(x, layer))
    layer.gamma.data.zero_()
    layer(x).sum().backward()
    assert layer.gamma.grad.abs() > 0


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize(("in_channels", "out_channels", "first"), [(3, 5, True), (4, 6, False), (4, 4, False)])
def test_down_block_is_its_formula(wide, down, in_channels, out_channels, first):
    block = layers.DownBlock(
        in_channels, out_channels, MAKE, first=first, down=down, wide=wide, attention=False
    ).double()
    x = normal(2, in_channels, 4, 4)
    close(block(x), down_block(x, block, 0 if first else 1, down))
    assert block.conv1.out_channels == (out_channels if wide else in_channels)
    assert (block.shortcut is None) == (not down and in_channels == out_channels)


@pytest.mark.parametrize(
    "settings", [{"d_feature": 12}, {"d_wide": False}, {"attention": 8, "d_channels": 8, "g_channels": 8}]
)
def test_discriminator_is_its_formula(settings):
    discriminator = lively(pair(condition_dim=K, **settings)[1])
    images, y = normal(2, 3, 32, 32), normal(2, K)
    features, logits = discriminator_by_hand(discriminator, images, down=2)
    close(discriminator.features(images), features)
    close(discriminator.unconditional_logits(images), logits)
    close(discriminator(images, y), discriminator_by_hand(discriminator, images, 2, y)[1])
    attended = [block.attention is not None for block in discriminator.blocks]
    assert attended == [False, settings.get("attention") == 8, False, False]


def test_spectral_norm_divides_by_the_largest_singular_value():
    make = layers.Maker(layers.INITS["normal"], layers.Spectral(1e-6))
    for layer in (make.conv(6, 8, 3).double(), make.linear(9, 5).double()):
        with torch.no_grad():
            for _ in range(2000):
                layer.weight  # noqa: B018  (each access in training mode is one power iteration)
        parts: Any = layer.get_submodule("parametrizations.weight")
        original = parts.original.detach()
        sigma = torch.linalg.svdvals(original.flatten(1))[0]
        # 2,000 iterations shrink the error by (s2/s1)^4000, below rounding for any gap over 1 %
        torch.testing.assert_close(layer.weight.detach(), original / sigma, rtol=1e-8, atol=1e-12)
        assert parts[0].eps == 1e-6


def test_inits():
    tall, wide = layers.Maker(layers.INITS["orthogonal"], plain).linear(8, 32), MAKE.conv(16, 4, 3)
    torch.testing.assert_close(tall.weight.T @ tall.weight, torch.eye(8), rtol=0, atol=1e-5)
    rows = wide.weight.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(4), rtol=0, atol=1e-5)
    draws = layers.Maker(layers.INITS["normal"], plain).conv(32, 48, 3).weight
    # 13,824 draws: the sample deviation's relative sd is 1 / sqrt(2n) = 0.6 %, so 3 % is 5 sd
    assert draws.std().item() == pytest.approx(0.02, rel=0.03)
