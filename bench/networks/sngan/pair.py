"""SNGAN residual networks at 32, 64 and 128 pixels, with optional conditions.

Blocks, widths and the spectral norm in D follow Miyato and Koyama 2018 (cGANs with Projection Discriminator);
without conditions the parameter counts equal those of mimicry (Lee and Town 2020) at every size. Conditions
enter as in DISP, section 4: G through a linear embedding and conditional batch norm, D through a projection.

Declared choices, where code bases differ:

- up-sampling is `nearest` (BigGAN-PyTorch's) by default, or `bilinear` (mimicry's);
- the generator's last batch norm is never conditional;
- layers outside a block's 3x3 convolutions have Glorot gain 1;
- G has no spectral norm unless `sn_generator`, which DISP uses (appendix A);
- D's shortcuts take a block's input as it is (`d_shortcut: plain`, the reference code's) or, for mimicry's published
  weights, after ReLU (`rectified`: its first activation works in place).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.common.conditioning import ConditionalGenerator, ProjectionDiscriminator
from bench.networks.common.layers import (
    BatchNorm,
    DownBlock,
    FirstDownBlock,
    FlatBlock,
    Shortcut,
    UpBlock,
    Upsample,
    WideningBlock,
    conv,
    linear,
    plain,
    spectral,
)


class Generator(ConditionalGenerator):
    """z and an optional condition -> images in [-1, 1].

    widths: channels of the first map and of each block's output; every block doubles the map, which starts
    with `bottom` pixels a side.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        z_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        upsample: Upsample,
        sn_generator: bool,
        bottom: int = 4,
    ) -> None:
        super().__init__()
        # Sizes: of z, of a condition, of the image.
        wrap = spectral if sn_generator else plain
        self.bottom = bottom
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution = bottom * 2 ** (len(widths) - 1)
        embedding_dim = None if condition_dim is None else shared_dim

        # Layers, from the first map to the image.
        self.linear = linear(z_dim, widths[0] * bottom * bottom, wrap)
        self.blocks = nn.ModuleList(
            UpBlock(before, after, embedding_dim, upsample, wrap) for before, after in pairwise(widths)
        )
        self.norm = BatchNorm(widths[-1])
        self.conv = conv(widths[-1], 3, 3, 1.0, wrap)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def _images(self, z_NZ: Tensor, embeddings: Sequence[Tensor | None]) -> Tensor:
        h_NCHW = self.linear(z_NZ).unflatten(1, (-1, self.bottom, self.bottom))
        for block, embedding_NE in zip(self.blocks, embeddings, strict=True):
            h_NCHW = block(h_NCHW, embedding_NE)
        return torch.tanh(self.conv(F.relu(self.norm(h_NCHW))))


class Discriminator(ProjectionDiscriminator):
    """Images and an optional condition -> logits. Every layer is spectrally normalised.

    widths: channels after each block; blocks after the first `down` keep height and width.
    """

    def __init__(
        self, widths: Sequence[int], *, down: int, condition_dim: int | None, shortcut: Shortcut = "plain"
    ) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.blocks = nn.ModuleList([FirstDownBlock(3, widths[0], spectral)])
        for position, (before, after) in enumerate(pairwise(widths), start=1):
            if position < down:
                self.blocks.append(DownBlock(before, after, spectral, shortcut))
            elif before != after:
                self.blocks.append(WideningBlock(before, after, spectral, shortcut))
            else:
                self.blocks.append(FlatBlock(after, spectral, shortcut))
        self.linear = linear(self.feature_dim, 1, spectral)
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, self.feature_dim, spectral, bias=False)
        )

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last block's map after ReLU, (N, feature_dim, h, w)."""
        h_NCHW = images_NCHW
        for block in self.blocks:
            h_NCHW = block(h_NCHW)
        return F.relu(h_NCHW)

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, H, W) -> (N, feature_dim), the feature map summed over space."""
        return self.feature_maps(images_NCHW).sum(dim=(2, 3))
