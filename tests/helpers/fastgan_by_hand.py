"""FastGAN written out plainly, and tiny pairs of it. `tests/helpers` is on the path of the tests.

The transcriptions read a layer's raw numbers and write the sums out; F.conv2d is torch's own.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs

import torch
from torch import nn
from torch.nn import functional as F

from bench.networks.common import noise
from bench.networks.describe import ShapesOnly
from bench.networks.fastgan import recipes as fastgan
from by_hand import weight

TINY = {"ngf": 8, "ndf": 8, "decoder_width": 4}


def recipes(resolution, **settings):
    """The two functions that make the networks of a size."""
    return getattr(fastgan, f"fastgan_{resolution}")(**settings)


def pair(resolution=64, *, seed=0, **settings):
    """Both networks, each from torch's generator at `seed`."""
    made = []
    for recipe in recipes(resolution, **{**TINY, "z_dim": 16, **settings}):
        torch.manual_seed(seed)
        made.append(recipe())
    return made


def meta(resolution, **settings):
    """Both networks without memory, at their full widths unless `settings` say otherwise."""
    with torch.device("meta"), ShapesOnly():
        return [recipe() for recipe in recipes(resolution, **settings)]


def stream(seed=7):
    """A generator of this seed."""
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=7, dtype=torch.float32):
    """N(0, 1) from a stream of this seed."""
    return torch.randn(*shape, generator=stream(seed), dtype=dtype)


def drawn(network, *inputs, seed=9, **more):
    """What a network gives with its noise from a stream of this seed."""
    with noise.drawn_from(stream(seed)):
        return network(*inputs, **more)


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


def bn(x, layer):
    """A batch norm in training."""
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * layer.weight[:, None, None] + layer.bias[:, None, None]


def glu(x):
    """Half of the channels, each times the sigmoid of its partner in the other half."""
    half = x.shape[1] // 2
    return x[:, :half] / (1 + torch.exp(-x[:, half:]))


def leaky(x):
    """Leaky ReLU 0.2."""
    return torch.where(x > 0, x, 0.2 * x)


def swish(x):
    """x times its sigmoid."""
    return x / (1 + torch.exp(-x))


def twice(x):
    """Each pixel as four."""
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
        return glu(bn(F.conv2d(h, weight(conv), padding=1), norm))
    for conv, scale, norm in ((block[1], block[2].weight, block[3]), (block[5], block[6].weight, block[7])):
        h = F.conv2d(h, weight(conv), padding=1)
        # the network's noise is drawn in float32
        h = h + scale * torch.randn(len(h), 1, *h.shape[2:], generator=draws).double()
        h = glu(bn(h, norm))
    return h


def excite(low, high, sle, activation):
    """SLE, the paper's equation 1: the high map times a gate per channel that the low map decides."""
    squeezed = activation(F.conv2d(pooled(low, 4), weight(sle.squeeze)))
    gate = torch.sigmoid(F.conv2d(squeezed, weight(sle.project)))
    assert gate.shape == (*high.shape[:2], 1, 1)
    return high * gate


def down(x, block):
    """The mean of the two paths of a residual block that halves the map."""
    h = leaky(bn(F.conv2d(x, weight(block.main[0]), stride=2, padding=1), block.main[1]))
    h = leaky(bn(F.conv2d(h, weight(block.main[3]), padding=1), block.main[4]))
    side = leaky(bn(F.conv2d(pooled(x, x.shape[-1] // 2), weight(block.side[1])), block.side[2]))
    return (h + side) / 2


def decode(x, decoder):
    """The four layers of a decoder, from the map at 8x8."""
    h = pooled(x, 8)
    for block in decoder.ups:
        h = up(h, block)
    return torch.tanh(F.conv2d(h, weight(decoder.to_image), padding=1))


def generate(generator, z, *, pairs, activation, squash, small, draws):
    """Images and, for a small size, the second output; pairs: low size -> high size."""
    h = torch.einsum("nz,zcij->ncij", z, weight(generator.first[0]))
    maps = {4: glu(bn(h, generator.first[1]))}
    size = 4
    for block in generator.blocks:
        size *= 2
        maps[size] = up(maps[size // 2], block, draws if size in (8, 32, 128, 512) else None)
        for low, high in pairs.items():
            if high == size:
                maps[size] = excite(maps[low], maps[size], generator.excitations[str(size)], activation)
    image = squash(F.conv2d(maps[size], weight(generator.to_image), padding=1))
    return image, None if small is None else squash(F.conv2d(maps[small], weight(generator.to_small)))


def judge(discriminator, x, *, gates, small):
    """Logits and the maps f1, f2 and small; gates: {size of the gated map: size of the driving one}."""
    entry = discriminator.blocks[0]
    h = x
    if x.shape[-1] <= 256:
        h = leaky(F.conv2d(h, weight(entry[0]), padding=1))
    else:
        h = leaky(F.conv2d(h, weight(entry[0]), stride=2, padding=1))
        if x.shape[-1] == 1024:
            h = leaky(bn(F.conv2d(h, weight(entry[2]), stride=2, padding=1), entry[3]))
    maps = {h.shape[-1]: h}
    for block in discriminator.blocks[1:]:
        h = down(h, block)
        if h.shape[-1] in gates:
            h = excite(maps[gates[h.shape[-1]]], h, block.gate, swish)
        maps[h.shape[-1]] = h
    head = discriminator.head
    logits = F.conv2d(leaky(bn(F.conv2d(h, weight(head[0])), head[1])), weight(head[3])).flatten(1)
    if small is None:
        return logits, maps[16], maps[8], None
    step = x.shape[-1] // small
    s = leaky(F.conv2d(x[:, :, ::step, ::step], weight(discriminator.small_branch[0]), stride=2, padding=1))
    rest = list(discriminator.small_branch)[2:]
    for conv, norm in zip(rest[::3], rest[1::3], strict=True):
        s = leaky(bn(F.conv2d(s, weight(conv), stride=2, padding=1), norm))
    small_logits = F.conv2d(s, weight(discriminator.small_head)).flatten(1)
    return torch.cat([logits, small_logits], 1), maps[16], maps[8], s


def close(actual, expected):
    """Equal but for the order of float64 sums, through up to 15 batch norms of few values each."""
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-9)
