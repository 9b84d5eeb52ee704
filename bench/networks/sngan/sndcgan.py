"""SNDCGAN at 32 and 128 pixels: plain convolutions, spectral norm in D alone (Miyato et al. 2018, table 3).

Layers are compare_gan's, which CR-GAN and LT-GAN build on. G: a linear map to a (size/8)^2 map of 512 channels, batch
norm over each of its units by itself, then 4x4 transposed convolutions of stride 2 to 256, 128 and 64 channels, each
with batch norm (eps 1e-5) and ReLU, and a 3x3 one to the image. D: seven convolutions (3x3, and 4x4 of stride 2 in
turns: 64, 128, 128, 256, 256, 512, 512 channels), each with leaky ReLU 0.1, then a linear map of all values of the
last map. Weights start as N(0, 0.02), biases at 0.

`blocks[i]` of D is layer i + 1 of LT-GAN's count, a convolution with its activation: at 32 px layer 5 gives 256x8x8, at
128 px layer 7 gives 512x16x16.

Declared choices. Images are tanh's, in [-1, 1], where compare_gan maps them to [0, 1] and back. `d_slope: 0` makes the
ReLU that LT-GAN's supplement names. The originals have no conditions, which here enter as in the other networks: all
of G's norms but the first (its units are too many for linear maps of their own) are conditional, and D projects the
features that its linear map reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common.conditioning import ConditionalGenerator, ProjectionDiscriminator
from bench.networks.common.layers import BatchNorm, plain, spectral
from bench.networks.common.normal_layers import batch_norm, drawn, linear


class Deconvolution(nn.Module):
    """A 4x4 transposed convolution of stride 2, batch norm, ReLU: doubles height and width."""

    def __init__(self, in_channels: int, out_channels: int, embedding_dim: int | None) -> None:
        super().__init__()
        self.conv = drawn(nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1), plain)
        self.norm = batch_norm(out_channels, embedding_dim, plain)

    def forward(self, x_NCHW: Tensor, embedding_NE: Tensor | None) -> Tensor:
        """(N, in, H, W) -> (N, out, 2H, 2W)."""
        return F.relu(self.norm(self.conv(x_NCHW), embedding_NE))


class Generator(ConditionalGenerator):
    """z and an optional condition -> images in [-1, 1].

    widths: channels of the first map and of each block's output; every block doubles the map.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        resolution: int,
        z_dim: int,
        condition_dim: int | None,
        shared_dim: int,
    ) -> None:
        super().__init__()
        self.resolution, self.bottom = resolution, resolution // 2 ** (len(widths) - 1)
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        embedding_dim = None if condition_dim is None else shared_dim
        units = widths[0] * self.bottom**2
        self.linear = linear(z_dim, units, plain)
        self.norm = BatchNorm(units)
        self.blocks = nn.ModuleList(Deconvolution(before, after, embedding_dim) for before, after in pairwise(widths))
        self.conv = drawn(nn.ConvTranspose2d(widths[-1], 3, 3, padding=1), plain)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def _images(self, z_NZ: Tensor, embeddings: Sequence[Tensor | None]) -> Tensor:
        units = self.norm(self.linear(z_NZ)[:, :, None, None])  # (N, units, 1, 1)
        h_NCHW = F.relu(units).flatten(1).unflatten(1, (-1, self.bottom, self.bottom))
        for block, embedding_NE in zip(self.blocks, embeddings, strict=True):
            h_NCHW = block(h_NCHW, embedding_NE)
        return torch.tanh(self.conv(h_NCHW))


class Convolution(nn.Module):
    """A spectrally normalised convolution and a leaky ReLU: 4x4 where stride 2 halves the map, 3x3 where 1 keeps it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.conv = drawn(nn.Conv2d(in_channels, out_channels, 2 + stride, stride, padding=1), spectral)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return F.leaky_relu(self.conv(x_NCHW), self.slope)


class Discriminator(ProjectionDiscriminator):
    """Images and an optional condition -> logits. Every layer is spectrally normalised.

    widths: channels of the odd layers 1, 3, 5, 7; the even layers, of stride 2, already have the next one's.
    """

    def __init__(self, widths: Sequence[int], *, resolution: int, slope: float, condition_dim: int | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Convolution(3, widths[0], 1, slope)])
        for before, after in pairwise(widths):
            self.blocks.append(Convolution(before, after, 2, slope))
            self.blocks.append(Convolution(after, after, 1, slope))
        self.condition_dim = condition_dim
        self.feature_dim = widths[-1] * (resolution // 2 ** (len(widths) - 1)) ** 2
        self.linear = linear(self.feature_dim, 1, spectral)
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, self.feature_dim, spectral, bias=False)
        )

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> layer 7's map, (N, C, H/8, W/8)."""
        h_NCHW = images_NCHW
        for block in self.blocks:
            h_NCHW = block(h_NCHW)
        return h_NCHW

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, H, W) -> (N, feature_dim), all values of layer 7's map."""
        return self.feature_maps(images_NCHW).flatten(1)
