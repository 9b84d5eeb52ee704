"""The FastGAN pairs against plain transcriptions in float64: images, logits, maps, decodings, styles, conditions."""

import pytest
import torch
from torch.nn.utils import parametrize

from bench import seeds
from bench.networks.common import noise
from bench.networks.fastgan.layers import (
    Noise,
)
from by_hand import weight
from fastgan_by_hand import close, decode, drawn, exact, generate, judge, leaky, normal, pair, stream, swish

K = 5


# (resolution, variant): SLE pairs, D's gates {target: source}, small size; read off the paper and the released code
WIRING = {
    (64, "released"): ({4: 64}, {8: 64}, 32),
    (64, "paper"): ({4: 64}, {}, None),
    (128, "released"): ({4: 64, 8: 128}, {16: 128, 8: 64}, 64),
    (128, "paper"): ({8: 128}, {}, None),
    (256, "released"): ({4: 64, 8: 128, 16: 256}, {32: 256, 16: 128, 8: 64}, 128),
    (256, "paper"): ({8: 128, 16: 256}, {}, None),
    (512, "released"): ({4: 64, 8: 128, 16: 256, 32: 512}, {32: 256, 16: 128, 8: 64}, 128),
    (1024, "released"): ({4: 64, 8: 128, 16: 256, 32: 512}, {32: 256, 16: 128, 8: 64}, 128),
    (1024, "paper"): ({8: 128, 16: 256, 32: 512}, {}, None),
}


def images_of(resolution):
    """How many images a transcription makes or judges: a second one of 512 px or more adds seconds and no layer."""
    return 2 if resolution < 512 else 1


@pytest.mark.parametrize(("resolution", "variant"), WIRING)
def test_the_generator_is_its_transcription(resolution, variant):
    pairs, _, small = WIRING[resolution, variant]
    generator = exact(pair(resolution, variant=variant)[0])
    z = normal(images_of(resolution), 16, dtype=torch.float64)
    squash = torch.tanh if variant == "paper" or resolution == 1024 else (lambda x: x)
    activation = swish if variant == "released" else leaky
    with torch.no_grad():
        expected, expected_small = generate(
            generator, z, pairs=pairs, activation=activation, squash=squash, small=small, draws=stream(9)
        )
        close(drawn(generator, z), expected)
        if small is not None:
            images, small_images = drawn(generator.both_scales, z)
            close(images, expected)
            close(small_images, expected_small)
    assert expected.shape == (len(z), 3, resolution, resolution) and expected.std() > 0.01
    assert set(generator.excitations) == {str(high) for high in pairs.values()}
    assert generator.bounded == (squash is torch.tanh)


@pytest.mark.parametrize(("resolution", "variant"), WIRING)
def test_the_discriminator_is_its_transcription(resolution, variant):
    _, gates, small = WIRING[resolution, variant]
    discriminator = exact(pair(resolution, variant=variant)[1])
    x = normal(images_of(resolution), 3, resolution, resolution, dtype=torch.float64)
    with torch.no_grad():
        expected, f1, f2, small_map = judge(discriminator, x, gates=gates, small=small)
        logits, maps = discriminator.forward_with_maps(x)
        close(logits, expected)
        close(discriminator(x), expected)
        close(discriminator.unconditional_logits(x), expected.mean(1))
        close(discriminator.feature_maps(x), f2)
        close(discriminator.features(x), f2.mean((2, 3)))
        close(maps.f1_NCHW, f1)
    assert logits.shape == (len(x), 25 if small is None else 50)
    assert discriminator.features(x).shape == (len(x), discriminator.feature_dim) == (len(x), 64)
    assert (maps.small_NCHW is None) == (small_map is None)


def test_a_given_small_image_replaces_the_shrunken_one():
    discriminator = exact(pair(64)[1])
    x, small = normal(2, 3, 64, 64).double(), normal(2, 3, 32, 32, seed=1).double()
    close(discriminator(x, small_NCHW=x[:, :, ::2, ::2]), discriminator(x))
    other = discriminator(x, small_NCHW=small)
    close(other[:, :25], discriminator(x)[:, :25])
    assert not torch.allclose(other[:, 25:], discriminator(x)[:, 25:])


@pytest.mark.parametrize("variant", ["released", "paper"])
@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_decoders_read_the_portion_that_their_target_shows(variant, part):
    discriminator = exact(pair(128, variant=variant)[1])
    x = normal(2, 3, 128, 128, dtype=torch.float64)
    with torch.no_grad():
        _, maps = discriminator.forward_with_maps(x)
        pairs = discriminator.reconstruct(maps, x, part)
        again = discriminator.decode(x, part)
    if variant == "released":  # quadrants, row by row
        row, column, side = part // 2, part % 2, 8
        cells = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
    else:
        side, cells = 2, (slice(0, 2), slice(part, part + 2))
    rows, columns = (slice(8 * s.start, 8 * s.stop) for s in cells)
    target = x[:, :, rows, columns]
    times = 128 // (8 * side)
    close(pairs[1].target_NCHW, target.repeat_interleave(times, 2).repeat_interleave(times, 3))
    close(pairs[1].decoded_NCHW, decode(maps.f1_NCHW[:, :, *cells], discriminator.decoders["part"]))
    close(pairs[0].target_NCHW, x)
    close(pairs[0].decoded_NCHW, decode(maps.f2_NCHW, discriminator.decoders["whole"]))
    if variant == "released":
        close(pairs[2].target_NCHW, x)
        close(pairs[2].decoded_NCHW, decode(maps.small_NCHW, discriminator.decoders["small"]))
    for one, other in zip(pairs, again, strict=True):
        close(one.decoded_NCHW, other.decoded_NCHW)


def test_targets_are_nearest_resized():
    discriminator = pair(256)[1]
    x = normal(2, 3, 256, 256)
    with torch.no_grad():
        whole, corner, small = discriminator.decode(x, 3)
    assert torch.equal(whole.target_NCHW, x[:, :, ::2, ::2]) and torch.equal(small.target_NCHW, whole.target_NCHW)
    assert torch.equal(corner.target_NCHW, x[:, :, 128:, 128:])


def test_the_maps_of_the_first_images_are_those_of_a_part_of_the_batch():
    discriminator = pair(64)[1]
    x = normal(4, 3, 64, 64)
    _, maps = discriminator.forward_with_maps(x)
    first = maps.first(2)
    pairs = discriminator.reconstruct(first, x[:2], 1)
    assert torch.equal(first.f1_NCHW, maps.f1_NCHW[:2]) and torch.equal(first.small_NCHW, maps.small_NCHW[:2])
    assert {image.shape for both in pairs for image in both} == {(2, 3, 64, 64)}


def test_equal_streams_give_equal_images_and_others_do_not():
    generator, _ = pair(64)
    generator.eval()
    z = normal(2, 16)
    for layer in generator.modules():
        if isinstance(layer, Noise):
            layer.weight.data.fill_(0.1)
    assert torch.equal(drawn(generator, z, seed=1), drawn(generator, z, seed=1))
    assert not torch.equal(drawn(generator, z, seed=1), drawn(generator, z, seed=2))
    state = torch.get_rng_state()
    drawn(generator, z)
    assert torch.equal(torch.get_rng_state(), state)


def test_styles_come_through_the_low_maps_alone():
    generator = exact(pair(64)[0])
    for layer in generator.modules():
        if isinstance(layer, Noise):
            layer.weight.data.zero_()
    content, style = normal(2, 16).double(), normal(2, 16, seed=1).double()
    plain = drawn(generator, content)
    maps = drawn(generator.style_maps, style)
    assert generator.style_sizes == (64,) == tuple(maps)
    close(drawn(generator.with_styles, content, drawn(generator.style_maps, content)), plain)
    close(drawn(generator.with_styles, content, {}), plain)
    mixed = drawn(generator.with_styles, content, maps)
    assert (mixed - plain).abs().max() > 1e-3
    with torch.no_grad(), noise.drawn_from(stream()):
        low = generator.first(style[:, :, None, None])
        high = generator.first(content[:, :, None, None])
        for block in generator.blocks:
            high = block(high)
        close(mixed, generator.to_image(generator.excitations["64"](low, high)))


def test_conditions_enter_as_declared():
    generator, discriminator = (exact(network) for network in pair(64, condition_dim=K, shared_dim=6))
    z, condition = normal(2, 16).double(), normal(2, K, seed=1).double()
    embedding = condition @ generator.condition_embedding.weight.T
    close(generator.embed(condition), embedding)
    images = drawn(generator, z, condition)
    close(drawn(generator.synthesize, z, embedding), images)
    expected, _ = generate(
        generator,
        torch.cat([z, embedding], 1),
        pairs={4: 64},
        activation=swish,
        squash=lambda x: x,
        small=None,
        draws=stream(9),
    )
    close(images, expected)
    projection = (condition @ weight(discriminator.condition_embedding).T * discriminator.features(images)).sum(1)
    logits = discriminator(images, condition)
    expected, *_ = judge(discriminator, images, gates={8: 64}, small=32)
    close(logits, expected + projection[:, None])
    close(discriminator.unconditional_logits(images), expected.mean(1))


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_gradients_reach_every_parameter(variant):
    generator, discriminator = pair(64, variant=variant, condition_dim=K)
    z, condition = normal(2, 16), normal(2, K, seed=1)
    if variant == "released":
        images, small = drawn(generator.both_scales, z, condition)
        logits, maps = discriminator.forward_with_maps(images, condition, small_NCHW=small)
    else:
        images = drawn(generator, z, condition)
        logits, maps = discriminator.forward_with_maps(images, condition)
    pairs = discriminator.reconstruct(maps, images.detach(), 2)
    rows = torch.arange(1.0, 1 + logits.numel()).view_as(logits)  # a sum alone could cancel in a batch norm
    loss = (logits * rows).sum() + sum((made - target).square().sum() for made, target in pairs)
    loss.backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_a_pair_learns_one_image():
    """D tells a checkerboard from G's images apart, and its decoders come nearer to it."""
    generator, discriminator = pair(64)
    board = ((torch.arange(64)[:, None] // 16 + torch.arange(64) // 16) % 2 * 1.6 - 0.8).expand(4, 3, 64, 64)
    real = board + 0.1 * normal(4, 3, 64, 64)
    with torch.no_grad(), noise.drawn_from(seeds.torch_stream(0, "noise")):
        fake = generator(normal(4, 16)).clamp(-1, 1)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    errors, gaps = [], []
    for _ in range(25):
        with parametrize.cached():
            logits, maps = discriminator.forward_with_maps(real)
            gap = (logits - discriminator(fake)).mean()
            error = sum((a - b).abs().mean() for a, b in discriminator.reconstruct(maps, real, 0))
            optimizer.zero_grad()
            (error - gap).backward()
            optimizer.step()
        errors.append(error.item())
        gaps.append(gap.item())
    assert gaps[-1] > gaps[0] + 1
    assert errors[-1] < 0.7 * errors[0]
