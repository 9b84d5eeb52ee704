"""SNGAN residual networks at 48 pixels (STL-10), in the forms of two code bases.

`variant: mimicry` (Lee and Town 2020): the blocks of the other SNGAN sizes from a 6x6 map; D sums over space. What is
declared for those sizes (bench/networks/sngan/pair.py) holds here too: mimicry's own choices are
`upsample: bilinear` and `d_shortcut: rectified`.

`variant: compare_gan` (Kurach et al. 2019; LT-GAN builds on that code), after table 5 of Miyato et al. 2018: G
doubles a map by putting zeros between its pixels. Every shortcut is a 3x3 convolution. Hidden widths in D are those of
the blocks' outputs, and D takes the mean over space. Weights start as N(0, 0.02), biases at 0; batch norm's eps
is 1e-5. Images there are a sigmoid's, in [0, 1], as D reads them. Here the same G ends in tanh of half the value, and
D maps back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common.conditioning import ConditionalGenerator, ProjectionDiscriminator
from bench.networks.common.layers import BatchNorm, Wrap, plain, spectral
from bench.networks.common.normal_layers import batch_norm, conv, drawn, linear

BOTTOM = 6  # height and width of the generator's first map
DOWN = 4  # D blocks that halve height and width
Variant = Literal["mimicry", "compare_gan"]


class UnpoolBlock(nn.Module):
    """The generator's residual block, which doubles height and width by zeros between the pixels.

    main: norm, ReLU, zeros, conv 3x3, norm, ReLU, conv 3x3. shortcut: zeros, conv 3x3. A convolution of a map with
    zeros between its pixels is a transposed one of the map (of the turned kernel), with a quarter of the products.
    """

    def __init__(self, in_channels: int, out_channels: int, embedding_dim: int | None, wrap: Wrap) -> None:
        super().__init__()
        self.norm1 = batch_norm(in_channels, embedding_dim, wrap)
        self.conv1 = _unpool_conv(in_channels, out_channels, wrap)
        self.norm2 = batch_norm(out_channels, embedding_dim, wrap)
        self.conv2 = conv(out_channels, out_channels, wrap)
        self.shortcut = _unpool_conv(in_channels, out_channels, wrap)

    def forward(self, x_NCHW: Tensor, embedding_NE: Tensor | None) -> Tensor:
        """(N, in, H, W) -> (N, out, 2H, 2W)."""
        h_NCHW = self.conv1(F.relu(self.norm1(x_NCHW, embedding_NE)))
        h_NCHW = self.conv2(F.relu(self.norm2(h_NCHW, embedding_NE)))
        return h_NCHW + self.shortcut(x_NCHW)


class Generator(ConditionalGenerator):
    """compare_gan's: z and an optional condition -> images in [-1, 1]; widths as in bench.networks.sngan.pair."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        z_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        sn_generator: bool,
    ) -> None:
        super().__init__()
        wrap = spectral if sn_generator else plain
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        embedding_dim = None if condition_dim is None else shared_dim
        self.linear = linear(z_dim, widths[0] * BOTTOM * BOTTOM, wrap)
        self.blocks = nn.ModuleList(
            UnpoolBlock(before, after, embedding_dim, wrap) for before, after in pairwise(widths)
        )
        self.norm = BatchNorm(widths[-1])
        self.conv = conv(widths[-1], 3, wrap)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def _images(self, z_NZ: Tensor, embeddings: Sequence[Tensor | None]) -> Tensor:
        h_NCHW = self.linear(z_NZ).unflatten(1, (-1, BOTTOM, BOTTOM))
        for block, embedding_NE in zip(self.blocks, embeddings, strict=True):
            h_NCHW = block(h_NCHW, embedding_NE)
        # 2 sigmoid(a) - 1 = tanh(a / 2)
        return torch.tanh(self.conv(F.relu(self.norm(h_NCHW))) / 2)


class DownBlock(nn.Module):
    """A discriminator block whose hidden width is its output's and whose shortcut is a 3x3 convolution.

    main: ReLU, conv 3x3, ReLU, conv 3x3. shortcut: conv 3x3. Their sum, and its mean of 2x2 where `down`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = conv(in_channels, out_channels, spectral)
        self.conv2 = conv(out_channels, out_channels, spectral)
        self.shortcut = conv(in_channels, out_channels, spectral)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H/2, W/2) where `down`, else (N, out, H, W)."""
        h_NCHW = self.conv2(F.relu(self.conv1(F.relu(x_NCHW)))) + self.shortcut(x_NCHW)
        return F.avg_pool2d(h_NCHW, 2) if self.down else h_NCHW


class Discriminator(ProjectionDiscriminator):
    """compare_gan's: images and an optional condition -> logits. Every layer is spectrally normalised.

    widths: channels after each block; the last keeps height and width.
    """

    def __init__(self, widths: Sequence[int], *, condition_dim: int | None) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.blocks = nn.ModuleList(
            DownBlock(before, after, down=position < DOWN)
            for position, (before, after) in enumerate(pairwise([3, *widths]))
        )
        self.linear = linear(self.feature_dim, 1, spectral)
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, self.feature_dim, spectral, bias=False)
        )

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1] -> the last block's map after ReLU, (N, feature_dim, h, w)."""
        h_NCHW = (images_NCHW + 1) / 2
        for block in self.blocks:
            h_NCHW = block(h_NCHW)
        return F.relu(h_NCHW)

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, H, W) -> (N, feature_dim), the mean of the feature map over space."""
        return self.feature_maps(images_NCHW).mean(dim=(2, 3))


def _unpool_conv(in_channels: int, out_channels: int, wrap: Wrap) -> nn.ConvTranspose2d:
    """Zeros after each pixel to the right and below, then a convolution 3x3, as one layer."""
    layer = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
    return drawn(layer, wrap)
