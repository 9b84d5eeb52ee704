"""Some of the papers' networks in the plainest form: torch alone, no options, no reuse, nothing cached.

What `steps.py` measures ours against: the same layers and parameter counts, every call with its own power iteration,
shortcuts in the order of the papers' figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def sn_conv(before: int, after: int, kernel: int) -> nn.Module:
    """A spectrally normalised convolution that keeps the size."""
    return spectral_norm(nn.Conv2d(before, after, kernel, padding=kernel // 2))


# ---- SNGAN at 128 px: Miyato and Koyama 2018, figure 14; spectral norm in D alone -----------------------------------


class SnganUp(nn.Module):
    """norm, ReLU, x2, conv, norm, ReLU, conv beside x2, conv 1x1."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(before), nn.ReLU(), nn.Upsample(scale_factor=2),
            nn.Conv2d(before, after, 3, padding=1),
            nn.BatchNorm2d(after), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, 2H, 2W)."""
        return self.main(x) + self.shortcut(x)


class SnganG(nn.Module):
    """128 normal numbers -> 128x128; with other widths a map of 4x4, doubled by each block."""

    def __init__(self, widths: Sequence[int] = (1024, 1024, 512, 256, 128, 64)) -> None:
        super().__init__()
        self.linear = nn.Linear(128, widths[0] * 16)
        self.blocks = nn.Sequential(*[SnganUp(a, b) for a, b in pairwise(widths)])
        end = widths[-1]
        self.last = nn.Sequential(nn.BatchNorm2d(end), nn.ReLU(), nn.Conv2d(end, 3, 3, padding=1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, 128) -> images."""
        return self.last(self.blocks(self.linear(z).unflatten(1, (-1, 4, 4))))


class Down(nn.Module):
    """A residual block of D: means of 2x2 where `down`, no ReLU on the image; `hidden` channels inside."""

    def __init__(self, before: int, after: int, hidden: int, *, first: bool = False, down: bool = True) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.conv1, self.conv2 = sn_conv(before, hidden, 3), sn_conv(hidden, after, 3)
        self.shortcut = sn_conv(before, after, 1) if down else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/2, W/2), or of the same size."""
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.shortcut is None:
            return h + x
        if self.first:
            return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return F.avg_pool2d(h, 2) + F.avg_pool2d(self.shortcut(x), 2)


class ResidualD(nn.Module):
    """Blocks, ReLU, the sum over space, a linear head."""

    def __init__(self, blocks: list[nn.Module], features: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.linear = spectral_norm(nn.Linear(features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits (N,)."""
        return self.linear(F.relu(self.blocks(x)).sum((2, 3))).squeeze(1)


def sngan_d() -> ResidualD:
    """D at 128 px: five blocks down, one flat; the hidden width is the input's."""
    downs = [Down(a, b, a) for a, b in pairwise([64, 128, 256, 512, 1024])]
    return ResidualD([Down(3, 64, 64, first=True), *downs, Down(1024, 1024, 1024, down=False)], 1024)


def sngan_64_g() -> SnganG:
    """G at 64 px."""
    return SnganG((1024, 512, 256, 128, 64))


def sngan_64_d() -> ResidualD:
    """D at 64 px: five blocks down."""
    downs = [Down(a, b, a) for a, b in pairwise([64, 128, 256, 512, 1024])]
    return ResidualD([Down(3, 64, 64, first=True), *downs], 1024)


def sngan_32_g() -> SnganG:
    """G at 32 px."""
    return SnganG((256, 256, 256, 256))


def sngan_32_d() -> ResidualD:
    """D at 32 px: two blocks down, two flat."""
    flat = [Down(128, 128, 128, down=False) for _ in range(2)]
    return ResidualD([Down(3, 128, 128, first=True), Down(128, 128, 128), *flat], 128)


# ---- BigGAN at 32 px without conditions: Brock et al. 2019, figure 15; Chen et al. 2019, equations 2 to 4 ------------


class SelfModulated(nn.Module):
    """Batch norm whose gain and bias a hidden layer of 32 makes of a chunk of z."""

    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.hidden = spectral_norm(nn.Linear(chunk, 32))
        self.gain, self.bias = spectral_norm(nn.Linear(32, channels)), spectral_norm(nn.Linear(32, channels))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """A map and a chunk of z -> the map normalised and modulated."""
        h = F.relu(self.hidden(z))
        return self.norm(x) * (1 + self.gain(h))[:, :, None, None] + self.bias(h)[:, :, None, None]


class BigganUp(nn.Module):
    """As SnganUp, with self-modulation."""

    def __init__(self, channels: int, chunk: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = SelfModulated(channels, chunk), SelfModulated(channels, chunk)
        self.conv1, self.conv2 = sn_conv(channels, channels, 3), sn_conv(channels, channels, 3)
        self.shortcut = sn_conv(channels, channels, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """A map and a chunk of z -> a map of twice the size."""
        h = self.conv1(F.interpolate(F.relu(self.norm1(x, z)), scale_factor=2))
        h = self.conv2(F.relu(self.norm2(h, z)))
        return h + self.shortcut(F.interpolate(x, scale_factor=2))


class BigganG(nn.Module):
    """120 normal numbers, 30 for the first map and for each block -> 32x32."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = spectral_norm(nn.Linear(30, 256 * 16))
        self.blocks = nn.ModuleList([BigganUp(256, 30) for _ in range(3)])
        self.last = nn.Sequential(nn.BatchNorm2d(256), nn.ReLU(), sn_conv(256, 3, 3), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, 120) -> images (N, 3, 32, 32)."""
        first, *chunks = z.chunk(4, dim=1)
        h = self.linear(first).view(-1, 256, 4, 4)
        for block, chunk in zip(self.blocks, chunks, strict=True):
            h = block(h, chunk)
        return self.last(h)


def biggan_d() -> ResidualD:
    """D at 32 px: two blocks down, two flat; the hidden width is the output's."""
    flat = [Down(256, 256, 256, down=False) for _ in range(2)]
    return ResidualD([Down(3, 256, 256, first=True), Down(256, 256, 256), *flat], 256)


# ---- FastGAN at 256 px as released: facts of Liu et al. 2021 and of the released layers ------------------------------


def bare(before: int, after: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """A spectrally normalised convolution without a bias."""
    return spectral_norm(nn.Conv2d(before, after, kernel, stride, padding, bias=False))


class Noise(nn.Module):
    """x + w * noise."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """The map with noise that all its channels share."""
        return x + self.weight * torch.randn(len(x), 1, *x.shape[2:], device=x.device)


class Excitation(nn.Module):
    """high * F(low)."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), bare(low, high, 4), nn.SiLU(), bare(high, high, 1), nn.Sigmoid()
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """The high map, gated by the low one."""
        return high * self.gate(low)


def glu_up(before: int, after: int, *, noisy: bool = False) -> nn.Sequential:
    """x2, conv, norm, GLU; where noisy, noise before the norm, and the last three once more."""
    wide = 2 * after
    layers = [nn.Upsample(scale_factor=2), bare(before, wide, 3, 1, 1)]
    layers += [Noise()] * noisy + [nn.BatchNorm2d(wide), nn.GLU(1)]
    if noisy:
        layers += [bare(after, wide, 3, 1, 1), Noise(), nn.BatchNorm2d(wide), nn.GLU(1)]
    return nn.Sequential(*layers)


class FastganG(nn.Module):
    """256 normal numbers -> 256x256 and 128x128."""

    def __init__(self) -> None:
        super().__init__()
        first = spectral_norm(nn.ConvTranspose2d(256, 2048, 4, bias=False))
        self.first = nn.Sequential(first, nn.BatchNorm2d(2048), nn.GLU(1))
        widths = [1024, 512, 256, 128, 128, 64, 32]
        self.blocks = nn.ModuleList([glu_up(a, b, noisy=k % 2 == 0) for k, (a, b) in enumerate(pairwise(widths))])
        self.gates = nn.ModuleList([Excitation(1024, 128), Excitation(512, 64), Excitation(256, 32)])
        self.large, self.small = bare(32, 3, 3, 1, 1), bare(64, 3, 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256) -> images of 256 and of 128 px."""
        maps = [self.first(z[:, :, None, None])]
        for k, block in enumerate(self.blocks):
            h = block(maps[-1])
            maps.append(self.gates[k - 3](maps[k - 3], h) if k >= 3 else h)
        return self.large(maps[-1]), self.small(maps[-2])


class FastganDown(nn.Module):
    """Half the size: the mean of two branches."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            bare(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2),
            bare(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.side = nn.Sequential(nn.AvgPool2d(2), bare(before, after, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/2, W/2)."""
        return (self.main(x) + self.side(x)) / 2


def fastgan_decoder(before: int) -> nn.Sequential:
    """A map -> 128x128."""
    ups = [glu_up(a, b) for a, b in pairwise([before, 128, 64, 64, 32])]
    return nn.Sequential(nn.AdaptiveAvgPool2d(8), *ups, bare(32, 3, 3, 1, 1), nn.Tanh())


class FastganD(nn.Module):
    """Images of both scales -> 50 logits; of real ones also the decoded whole, quadrant and small image."""

    def __init__(self) -> None:
        super().__init__()
        widths = [16, 32, 64, 128, 256, 512]
        self.entry = nn.Sequential(bare(3, 16, 3, 1, 1), nn.LeakyReLU(0.2))
        self.blocks = nn.ModuleList([FastganDown(a, b) for a, b in pairwise(widths)])
        self.gates = nn.ModuleList([Excitation(16, 128), Excitation(32, 256), Excitation(64, 512)])
        self.head = nn.Sequential(bare(512, 1024, 1), nn.BatchNorm2d(1024), nn.LeakyReLU(0.2), bare(1024, 1, 4))
        layers: list[nn.Module] = [bare(3, 32, 4, 2, 1), nn.LeakyReLU(0.2)]
        for a, b in pairwise([32, 64, 128, 256]):
            layers += [bare(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.branch, self.branch_head = nn.Sequential(*layers), bare(256, 1, 4)
        self.decoders = nn.ModuleList([fastgan_decoder(width) for width in (512, 256, 256)])

    def forward(self, x: Tensor, small: Tensor, *, decode: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Logits (N, 50), and the decoded images where `decode`."""
        maps = [self.entry(x)]
        for k, block in enumerate(self.blocks):
            h = block(maps[-1])
            maps.append(self.gates[k - 2](maps[k - 2], h) if k >= 2 else h)
        low = self.branch(small)
        logits = torch.cat([self.head(maps[-1]).flatten(1), self.branch_head(low).flatten(1)], 1)
        sources = (maps[-1], maps[-2][:, :, :8, 8:], low)
        decoded = [net(map_) for net, map_ in zip(self.decoders, sources, strict=True)] if decode else []
        return logits, decoded
