"""Layers of the FastGAN networks: GLU blocks with noise, skip-layer excitation, residual downs, decoders.

Blocks follow Liu et al. 2021 (ICLR), sections 3.1 and 3.2. What the text leaves open is as in the authors' code. Every
convolution is spectrally normalised, has no bias and starts at N(0, 0.02). A batch norm's gain starts at N(1, 0.02).
Leaky slopes are 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common import noise
from bench.networks.common.batch_norm import WholeBatchNorm2d
from bench.networks.common.layers import spectral

SLOPE = 0.2  # of every leaky rectifier
F1_SIZE = 16  # height and width of the discriminator's second last map, which crops are cut from
F2_SIZE = 8  # of its last map


def conv(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution without bias, weights N(0, 0.02), spectrally normalised."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    return spectral(layer)


def batch_norm(channels: int) -> WholeBatchNorm2d:
    """Batch normalisation with gains N(1, 0.02) and biases 0."""
    layer = WholeBatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


def leaky() -> nn.LeakyReLU:
    """LeakyReLU in place: neither a convolution nor a batch norm needs its own output in the backward pass."""
    return nn.LeakyReLU(SLOPE, inplace=True)


def mean_to(map_NCHW: Tensor, size: int) -> Tensor:
    """The adaptive mean to size x size.

    On a GPU as a plain mean of equal windows, where the sides allow it. The adaptive mean's derivative adds up in an
    order of chance there, and a run could not be repeated.
    """
    height, width = map_NCHW.shape[2:]
    if map_NCHW.is_cuda and height % size == 0 and width % size == 0:
        return F.avg_pool2d(map_NCHW, (height // size, width // size))
    return F.adaptive_avg_pool2d(map_NCHW, size)


class Noise(nn.Module):
    """x + w * n: one standard normal map per image, shared by all channels, and one learned w that starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; the noise comes from the active stream of bench.networks.common.noise."""
        count, _, height, width = x_NCHW.shape
        return x_NCHW + self.weight * noise.normal((count, 1, height, width), like=x_NCHW)


def first_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(N, in, 1, 1) -> (N, out, 4, 4): transposed conv 4x4, batch norm, GLU."""
    layer = nn.ConvTranspose2d(in_channels, 2 * out_channels, 4, bias=False)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    return nn.Sequential(spectral(layer), batch_norm(2 * out_channels), nn.GLU(dim=1))


def up_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(N, in, H, W) -> (N, out, 2H, 2W): nearest x2, conv 3x3 to 2 * out, batch norm, GLU."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        conv(in_channels, 2 * out_channels, 3, padding=1),
        batch_norm(2 * out_channels),
        nn.GLU(dim=1),
    )


def noisy_up_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """(N, in, H, W) -> (N, out, 2H, 2W): nearest x2, then twice conv 3x3, noise, batch norm, GLU."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        *_noisy_glu(in_channels, out_channels),
        *_noisy_glu(out_channels, out_channels),
    )


def _noisy_glu(in_channels: int, out_channels: int) -> list[nn.Module]:
    wide = 2 * out_channels
    return [conv(in_channels, wide, 3, padding=1), Noise(), batch_norm(wide), nn.GLU(dim=1)]


class SkipExcitation(nn.Module):
    """SLE, y = F(x_low) * x_high, channel by channel (equation 1).

    F: adaptive mean to 4x4, conv 4x4, activation, conv 1x1, sigmoid. The first convolution already has the high
    map's width, as released and as table 1 needs: with the low map's, the SLE 8 -> 128 alone would have 4.2
    million parameters, more than all that "Ours" adds to "Baseline".
    """

    def __init__(self, low_channels: int, high_channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.squeeze = conv(low_channels, high_channels, 4)
        self.activation = activation
        self.project = conv(high_channels, high_channels, 1)

    def gate(self, low_NLHW: Tensor) -> Tensor:
        """F: the low map (N, L, h, w) -> (N, C, 1, 1) in (0, 1)."""
        h_NCHW = self.squeeze(mean_to(low_NLHW, 4))
        return torch.sigmoid(self.project(self.activation(h_NCHW)))

    def forward(self, low_NLHW: Tensor, high_NCHW: Tensor) -> Tensor:
        """(N, L, h, w), (N, C, H, W) -> (N, C, H, W)."""
        return high_NCHW * self.gate(low_NLHW)


class ResidualDown(nn.Module):
    """The discriminator's block, which halves height and width: the mean of two paths, then perhaps a gate.

    main: conv 4x4 of stride 2, batch norm, leaky, conv 3x3, batch norm, leaky. side: mean of 2x2, conv 1x1, batch
    norm, leaky. `gate` is None unless the discriminator sets a SkipExcitation there, which an earlier map drives.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *plain_down(in_channels, out_channels),
            conv(out_channels, out_channels, 3, padding=1),
            batch_norm(out_channels),
            leaky(),
        )
        self.side = nn.Sequential(
            nn.AvgPool2d(2), conv(in_channels, out_channels, 1), batch_norm(out_channels), leaky()
        )
        self.gate: SkipExcitation | None = None

    def forward(self, x_NCHW: Tensor, earlier_NLHW: Tensor | None = None) -> Tensor:
        """(N, in, H, W) and, for a gated block, an earlier map -> (N, out, H/2, W/2)."""
        h_NCHW = (self.main(x_NCHW) + self.side(x_NCHW)) / 2
        return h_NCHW if self.gate is None else self.gate(earlier_NLHW, h_NCHW)


def plain_down(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Layers that halve height and width: conv 4x4 of stride 2, batch norm, leaky."""
    return [conv(in_channels, out_channels, 4, stride=2, padding=1), batch_norm(out_channels), leaky()]


class Decoder(nn.Module):
    """A discriminator's map -> a small image in [-1, 1] (section 3.2).

    Adaptive mean to 8x8, up blocks to 4, 2, 2 and 1 times `width` channels until `resolution` (16 to 128), conv
    3x3, tanh. The text's "four conv-layers" are taken to be those of the four up blocks to 128 px.
    """

    def __init__(self, in_channels: int, *, width: int, resolution: int) -> None:
        super().__init__()
        ups = (resolution // F2_SIZE).bit_length() - 1
        widths = [in_channels, 4 * width, 2 * width, 2 * width, width][: ups + 1]
        self.ups = nn.Sequential(*(up_block(a, b) for a, b in pairwise(widths)))
        self.to_image = conv(widths[-1], 3, 3, padding=1)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, h, w) of any height and width -> (N, 3, resolution, resolution)."""
        return torch.tanh(self.to_image(self.ups(mean_to(map_NCHW, F2_SIZE))))


@dataclass(frozen=True)
class Crops:
    """The square crops of a 16x16 map: `side` cells wide, at offsets that are multiples of `step`.

    Crops are numbered row by row from the top left.
    """

    side: int
    step: int

    @property
    def _across(self) -> int:
        return (F1_SIZE - self.side) // self.step + 1

    @property
    def count(self) -> int:
        """How many crops there are."""
        return self._across**2

    def cut(self, x_NCHW: Tensor, part: int) -> Tensor:
        """The same portion of the 16x16 map or of its image: (N, C, H, W) -> a view (N, C, h, w).

        H = W is a multiple of 16. Raises ValueError for a part outside 0 ... count - 1.
        """
        if not 0 <= part < self.count:
            raise ValueError(f"part={part} is not one of the {self.count} crops 0 to {self.count - 1}")
        cell = x_NCHW.shape[-1] // F1_SIZE
        top, left = (cell * self.step * position for position in divmod(part, self._across))
        return x_NCHW[:, :, top : top + cell * self.side, left : left + cell * self.side]
