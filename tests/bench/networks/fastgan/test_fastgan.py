"""The FastGAN pairs: counts, maths against plain transcriptions in float64, switches, variants, decoders, noise."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from bench import seeds
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.describe import _ShapesOnly
from bench.networks.fastgan import recipes as fastgan
from bench.networks.fastgan.layers import (
    Crops,
    Decoder,
    Noise,
    ResidualDown,
    SkipExcitation,
    first_block,
    mean_to,
    noisy_up_block,
    up_block,
)

SIZES = (64, 128, 256, 512, 1024)
TINY = {"ngf": 8, "ndf": 8, "decoder_width": 4}
K = 5


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        yield


def recipes(resolution, **settings):
    return getattr(fastgan, f"fastgan_{resolution}")(**settings)


def pair(resolution=64, *, seed=0, **settings):
    made = []
    for recipe in recipes(resolution, **{**TINY, "z_dim": 16, **settings}):
        torch.manual_seed(seed)
        made.append(recipe())
    return made


def meta(resolution, **settings):
    with torch.device("meta"), _ShapesOnly():
        return [recipe() for recipe in recipes(resolution, **settings)]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def stream(seed=7):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=7, dtype=torch.float32):
    return torch.randn(*shape, generator=stream(seed), dtype=dtype)


def drawn(network, *inputs, seed=9, **more):
    with noise.drawn_from(stream(seed)):
        return network(*inputs, **more)


# Plain transcriptions. They read a layer's raw numbers and write the sums out; F.conv2d is torch's own.


def exact(module):
    """float64; batch norms use the batch, singular vectors stay; every vector moved off its trivial start."""
    module = module.double().eval()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
    with torch.no_grad():
        for position, (name, parameter) in enumerate(module.named_parameters()):
            if parameter.ndim == 1:
                start = 1.0 if "weight" in name and len(parameter) > 1 else 0.0
                parameter.copy_(start + 0.3 * normal(len(parameter), seed=position))
    return module


def kernel(layer):
    """W / sigma with sigma = u . W v, W as a matrix of one row for each output channel."""
    original = layer.parametrizations.weight.original
    norm = layer.parametrizations.weight[0]
    matrix = original.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else original
    return original / (norm._u @ matrix.flatten(1) @ norm._v)


def bn(x, layer):
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * layer.weight[:, None, None] + layer.bias[:, None, None]


def glu(x):
    half = x.shape[1] // 2
    return x[:, :half] / (1 + torch.exp(-x[:, half:]))


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def swish(x):
    return x / (1 + torch.exp(-x))


def twice(x):
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def pooled(x, size):
    """Adaptive mean: every output cell is the mean of its share, or a copy where the map is smaller."""
    while x.shape[-1] < size:
        x = twice(x)
    share = x.shape[-1] // size
    return x.unflatten(3, (size, share)).unflatten(2, (size, share)).mean(dim=(3, 5))


def up(x, block, draws=None):
    """draws: the noise stream of a block with two convolutions; None for one convolution."""
    h = twice(x)
    if draws is None:
        _, conv, norm, _ = block
        return glu(bn(F.conv2d(h, kernel(conv), padding=1), norm))
    for conv, weight, norm in ((block[1], block[2].weight, block[3]), (block[5], block[6].weight, block[7])):
        h = F.conv2d(h, kernel(conv), padding=1)
        # the network's noise is drawn in float32
        h = h + weight * torch.randn(len(h), 1, *h.shape[2:], generator=draws).double()
        h = glu(bn(h, norm))
    return h


def excite(low, high, sle, activation):
    squeezed = activation(F.conv2d(pooled(low, 4), kernel(sle.squeeze)))
    gate = torch.sigmoid(F.conv2d(squeezed, kernel(sle.project)))
    assert gate.shape == (*high.shape[:2], 1, 1)
    return high * gate


def down(x, block):
    h = leaky(bn(F.conv2d(x, kernel(block.main[0]), stride=2, padding=1), block.main[1]))
    h = leaky(bn(F.conv2d(h, kernel(block.main[3]), padding=1), block.main[4]))
    side = leaky(bn(F.conv2d(pooled(x, x.shape[-1] // 2), kernel(block.side[1])), block.side[2]))
    return (h + side) / 2


def decode(x, decoder):
    h = pooled(x, 8)
    for block in decoder.ups:
        h = up(h, block)
    return torch.tanh(F.conv2d(h, kernel(decoder.to_image), padding=1))


def generate(generator, z, *, pairs, activation, squash, small, draws):
    """Images and, for a small size, the second output; pairs: low size -> high size."""
    h = torch.einsum("nz,zcij->ncij", z, kernel(generator.first[0]))
    maps = {4: glu(bn(h, generator.first[1]))}
    size = 4
    for block in generator.blocks:
        size *= 2
        maps[size] = up(maps[size // 2], block, draws if size in (8, 32, 128, 512) else None)
        for low, high in pairs.items():
            if high == size:
                maps[size] = excite(maps[low], maps[size], generator.excitations[str(size)], activation)
    image = squash(F.conv2d(maps[size], kernel(generator.to_image), padding=1))
    return image, None if small is None else squash(F.conv2d(maps[small], kernel(generator.to_small)))


def judge(discriminator, x, *, gates, small):
    """Logits and the maps f1, f2 and small; gates: {size of the gated map: size of the driving one}."""
    entry = discriminator.blocks[0]
    h = x
    if x.shape[-1] <= 256:
        h = leaky(F.conv2d(h, kernel(entry[0]), padding=1))
    else:
        h = leaky(F.conv2d(h, kernel(entry[0]), stride=2, padding=1))
        if x.shape[-1] == 1024:
            h = leaky(bn(F.conv2d(h, kernel(entry[2]), stride=2, padding=1), entry[3]))
    maps = {h.shape[-1]: h}
    for block in discriminator.blocks[1:]:
        h = down(h, block)
        if h.shape[-1] in gates:
            h = excite(maps[gates[h.shape[-1]]], h, block.gate, swish)
        maps[h.shape[-1]] = h
    head = discriminator.head
    logits = F.conv2d(leaky(bn(F.conv2d(h, kernel(head[0])), head[1])), kernel(head[3])).flatten(1)
    if small is None:
        return logits, maps[16], maps[8], None
    step = x.shape[-1] // small
    s = leaky(F.conv2d(x[:, :, ::step, ::step], kernel(discriminator.small_branch[0]), stride=2, padding=1))
    rest = list(discriminator.small_branch)[2:]
    for conv, norm in zip(rest[::3], rest[1::3], strict=True):
        s = leaky(bn(F.conv2d(s, kernel(conv), stride=2, padding=1), norm))
    small_logits = F.conv2d(s, kernel(discriminator.small_head)).flatten(1)
    return torch.cat([logits, small_logits], 1), maps[16], maps[8], s


# Both sides do the same float64 sums in another order, through up to 15 batch norms of few values each.
def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-9)


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


@pytest.mark.parametrize(("resolution", "variant"), WIRING)
def test_the_generator_is_its_transcription(resolution, variant):
    pairs, _, small = WIRING[resolution, variant]
    generator = exact(pair(resolution, variant=variant)[0])
    z = normal(2, 16, dtype=torch.float64)
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
    assert expected.shape == (2, 3, resolution, resolution) and expected.std() > 0.01
    assert set(generator.excitations) == {str(high) for high in pairs.values()}
    assert generator.bounded == (squash is torch.tanh)


@pytest.mark.parametrize(("resolution", "variant"), WIRING)
def test_the_discriminator_is_its_transcription(resolution, variant):
    _, gates, small = WIRING[resolution, variant]
    discriminator = exact(pair(resolution, variant=variant)[1])
    x = normal(2, 3, resolution, resolution, dtype=torch.float64)
    with torch.no_grad():
        expected, f1, f2, small_map = judge(discriminator, x, gates=gates, small=small)
        logits, maps = discriminator.forward_with_maps(x)
        close(logits, expected)
        close(discriminator(x), expected)
        close(discriminator.unconditional_logits(x), expected.mean(1))
        close(discriminator.feature_maps(x), f2)
        close(discriminator.features(x), f2.mean((2, 3)))
        close(maps.f1_NCHW, f1)
    assert logits.shape == (2, 25 if small is None else 50)
    assert discriminator.features(x).shape == (2, discriminator.feature_dim) == (2, 64)
    assert (maps.small_NCHW is None) == (small_map is None)


def test_a_given_small_image_replaces_the_shrunken_one():
    discriminator = exact(pair(64)[1])
    x, small = normal(2, 3, 64, 64).double(), normal(2, 3, 32, 32, seed=1).double()
    close(discriminator(x, small_NCHW=x[:, :, ::2, ::2]), discriminator(x))
    other = discriminator(x, small_NCHW=small)
    close(other[:, :25], discriminator(x)[:, :25])
    assert not torch.allclose(other[:, 25:], discriminator(x)[:, 25:])


# Blocks by themselves.


def test_up_blocks_are_their_formulas():
    x = normal(2, 6, 4, 4).double()
    block = exact(up_block(6, 5))
    close(block(x), up(x, block))
    noisy = exact(noisy_up_block(6, 5))
    assert drawn(noisy, x).shape == (2, 5, 8, 8)
    close(drawn(noisy, x), up(x, noisy, stream(9)))
    first = exact(first_block(6, 5))
    z = normal(3, 6).double()
    h = torch.einsum("nz,zcij->ncij", z, kernel(first[0]))
    close(first(z[:, :, None, None]), glu(bn(h, first[1])))


def test_noise_is_one_map_for_all_channels_times_its_weight():
    layer, x = Noise(), normal(2, 3, 4, 5)
    assert torch.equal(drawn(layer, x), x)  # the weight starts at 0
    layer.weight.data.fill_(0.5)
    expected = torch.randn(2, 1, 4, 5, generator=stream(9))
    torch.testing.assert_close(drawn(layer, x) - x, 0.5 * expected.expand(2, 3, 4, 5))
    with pytest.raises(RuntimeError, match="drawn_from"):
        layer(x)


@pytest.mark.parametrize(("module", "function"), [(nn.SiLU(), swish), (nn.LeakyReLU(0.2), leaky)])
@pytest.mark.parametrize("low_size", [4, 8, 32])
def test_sle_is_equation_1(module, function, low_size):
    sle = exact(SkipExcitation(6, 5, module))
    low, high = normal(2, 6, low_size, low_size).double(), normal(2, 5, 16, 16).double()
    close(sle(low, high), excite(low, high, sle, function))
    assert count(sle) == 6 * 5 * 16 + 5 * 5


def test_a_residual_down_is_the_mean_of_two_paths():
    block, x = exact(ResidualDown(4, 6)), normal(2, 4, 8, 8).double()
    close(block(x), down(x, block))
    block.gate = exact(SkipExcitation(3, 6, nn.SiLU()))
    earlier = normal(2, 3, 32, 32).double()
    close(block(x, earlier), excite(earlier, down(x, block), block.gate, swish))


@pytest.mark.parametrize(("size", "resolution"), [(8, 128), (8, 64), (2, 128), (8, 16)])
def test_a_decoder_is_its_formula(size, resolution):
    decoder, x = exact(Decoder(6, width=2, resolution=resolution)), normal(2, 6, size, size).double()
    assert decoder(x).shape == (2, 3, resolution, resolution)
    close(decoder(x), decode(x, decoder))


# Counts.


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
    with torch.device("meta"), torch.no_grad(), _ShapesOnly():
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


# Reconstruction.


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


def test_the_last_crop_ends_at_the_edge_and_the_next_is_refused():
    x = torch.arange(16.0)[None, None, :, None] + torch.arange(16.0) / 100
    for crops, last in ((Crops(8, 8), 3), (Crops(2, 1), 224)):
        assert crops.count == last + 1
        cut = crops.cut(x, last)
        assert cut[0, 0, -1, -1] == x[0, 0, -1, -1] and cut.shape[2:] == (crops.side, crops.side)
        for part in (-1, last + 1):
            with pytest.raises(ValueError, match=f"one of the {last + 1} crops"):
                crops.cut(x, part)


def test_the_maps_of_the_first_images_are_those_of_a_part_of_the_batch():
    discriminator = pair(64)[1]
    x = normal(4, 3, 64, 64)
    _, maps = discriminator.forward_with_maps(x)
    first = maps.first(2)
    pairs = discriminator.reconstruct(first, x[:2], 1)
    assert torch.equal(first.f1_NCHW, maps.f1_NCHW[:2]) and torch.equal(first.small_NCHW, maps.small_NCHW[:2])
    assert {image.shape for both in pairs for image in both} == {(2, 3, 64, 64)}


# Weights, gradients and randomness.


@pytest.mark.parametrize("network", [0, 1])
def test_weights_do_not_depend_on_the_size_of_the_condition(network):
    small, large = pair(condition_dim=3)[network].state_dict(), pair(condition_dim=9)[network].state_dict()
    assert small.keys() == large.keys()
    differ = {key.split(".")[0] for key in small if not torch.equal(small[key], large[key])}
    assert differ == {"condition_embedding"}


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
    close(drawn(generator.mix_styles, content, content), plain)
    mixed = drawn(generator.mix_styles, content, style)
    assert (mixed - plain).abs().max() > 1e-3
    with torch.no_grad(), noise.drawn_from(stream()):
        low = generator.first(style[:, :, None, None])
        high = generator.first(content[:, :, None, None])
        for block in generator.blocks:
            high = block(high)
        close(mixed, generator.to_image(generator.excitations["64"](low, high)))


# Conditions.


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
    projection = (condition @ kernel(discriminator.condition_embedding).T * discriminator.features(images)).sum(1)
    logits = discriminator(images, condition)
    expected, *_ = judge(discriminator, images, gates={8: 64}, small=32)
    close(logits, expected + projection[:, None])
    close(discriminator.unconditional_logits(images), expected.mean(1))


@pytest.mark.parametrize(
    ("condition_dim", "given", "message"), [(None, True, "has no condition"), (K, False, "needs a condition")]
)
def test_a_missing_or_superfluous_condition_is_refused(condition_dim, given, message):
    generator, discriminator = pair(64, condition_dim=condition_dim)
    condition = normal(2, K) if given else None
    with pytest.raises(ValueError, match=message):
        drawn(generator, normal(2, 16), condition)
    with pytest.raises(ValueError, match=message):
        discriminator(torch.zeros(2, 3, 64, 64), condition)


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


class _OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 3, 8, 32), (2, 3, 4, 4), (2, 3, 6, 8)])
def test_the_mean_of_windows_on_a_gpu_is_the_adaptive_mean(shape):
    """Windows that overlap (6 to 4) are left to torch."""
    map_NCHW = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = F.adaptive_avg_pool2d(map_NCHW, 4)
    assert torch.equal(mean_to(map_NCHW, 4), wanted)
    torch.testing.assert_close(mean_to(map_NCHW.as_subclass(_OnGpu), 4).as_subclass(torch.Tensor), wanted)
