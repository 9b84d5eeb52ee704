"""SNGAN residual networks at 32, 64 and 128 pixels, with optional conditions.

Blocks, widths and the spectral norm in D follow Miyato and Koyama 2018 (cGANs with Projection Discriminator);
without conditions the parameter counts equal those of mimicry (Lee and Town 2020) at every size. Conditions
enter as in DISP, section 4: G through a linear embedding and conditional batch norm, D through a projection.

Declared choices, where code bases differ: up-sampling is `nearest` (BigGAN-PyTorch's) unless `bilinear`
(mimicry's) is asked for; the generator's last batch norm is never conditional; layers outside a block's 3x3
convolutions have Glorot gain 1; G has no spectral norm unless `sn_generator`, which DISP uses (appendix A);
D's shortcuts take a block's input as it is (`d_shortcut: plain`, the reference code's) or, for mimicry's published
weights, after ReLU (`rectified`: its first activation works in place).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.networks.common.checks import check_choice, check_sizes, check_switches
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
from bench.networks.interface import Makers


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
        wrap = spectral if sn_generator else plain
        self.bottom = bottom
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution = bottom * 2 ** (len(widths) - 1)
        embedding_dim = None if condition_dim is None else shared_dim
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


def sngan_32(
    *,
    z_dim: int = 128,
    condition_dim: int | None = None,
    shared_dim: int = 128,
    g_width: int | Sequence[int] = 256,
    d_width: int | Sequence[int] = 128,
    d_down: int = 2,
    sn_generator: bool = False,
    upsample: Upsample = "nearest",
    d_shortcut: Shortcut = "plain",
) -> Makers:
    """32 px: three up blocks of constant g_width; D has four blocks of constant d_width, the first two down.

    Without conditions G has 4,276,739 and D 1,053,825 parameters. Four widths instead of one taper a network that
    a CPU trains (most of the arithmetic is at 32 px): those of G's first map and of its blocks, and those of D's
    blocks. d_down: how many of D's blocks halve the map; 3 ends at 4x4 as the larger networks do, so that the sum
    over space and with it the logits and the consistency loss have their size.
    """
    g_widths, d_widths = _four("g_width", g_width), _four("d_width", d_width)
    if d_down not in (2, 3, 4):
        raise UserError(f"d_down={d_down!r} must be 2, 3 or 4")
    if len(set(d_widths[d_down - 1 :])) > 1:
        raise UserError(
            f"d_width={list(d_widths)}: blocks after the first {d_down} keep the width of the one before"
        )
    generator = generator_recipe(
        g_widths, z_dim, condition_dim, shared_dim, sn_generator=sn_generator, upsample=upsample
    )
    return generator, discriminator_recipe(d_widths, d_down, condition_dim, d_shortcut)


def _four(key: str, width: int | Sequence[int]) -> Sequence[int]:
    """One width four times, or four widths as they are."""
    widths = [width] * 4 if isinstance(width, int) else width
    if not isinstance(widths, Sequence) or len(widths) != 4:
        raise UserError(f"{key}={width!r} must be one whole number or four")
    for one in widths:
        check_sizes(1, **{key: one})
    return widths


def _large_sngan(
    resolution: int,
    *,
    z_dim: int = 128,
    condition_dim: int | None = None,
    shared_dim: int = 128,
    g_width: int = 1024,
    d_width: int = 1024,
    sn_generator: bool = False,
    upsample: Upsample = "nearest",
    d_shortcut: Shortcut = "plain",
) -> Makers:
    """64 px: g_width halves in each of four up blocks; D doubles from d_width/16 to d_width in five.

    128 px: as at 64 px, with an up block of g_width before, and a flat D block of d_width after.
    """
    check_sizes(16, g_width=g_width, d_width=d_width)
    g_widths, d_widths = _halving(g_width), _halving(d_width)[::-1]
    if resolution == 128:
        g_widths, d_widths = [g_width, *g_widths], [*d_widths, d_width]
    generator = generator_recipe(
        g_widths, z_dim, condition_dim, shared_dim, sn_generator=sn_generator, upsample=upsample
    )
    return generator, discriminator_recipe(d_widths, 5, condition_dim, d_shortcut)


# Without conditions G has 12,220,675 and D 10,141,441 parameters at 64 px, 32,150,787 and 29,017,857 at 128 px.
sngan_64 = partial(_large_sngan, 64)
sngan_128 = partial(_large_sngan, 128)


def _halving(width: int) -> list[int]:
    return [width, width // 2, width // 4, width // 8, width // 16]


def generator_recipe(
    widths: Sequence[int],
    z_dim: int,
    condition_dim: int | None,
    shared_dim: int,
    *,
    sn_generator: bool,
    upsample: Upsample,
    bottom: int = 4,
) -> Callable[[], Generator]:
    """The generator of checked settings. Raises UserError for an impossible one."""
    check_sizes(
        1, z_dim=z_dim, shared_dim=shared_dim, condition_dim=1 if condition_dim is None else condition_dim
    )
    check_switches(sn_generator=sn_generator)
    check_choice(upsample, "upsample", get_args(Upsample))
    return partial(
        Generator,
        widths,
        z_dim=z_dim,
        condition_dim=condition_dim,
        shared_dim=shared_dim,
        upsample=upsample,
        sn_generator=sn_generator,
        bottom=bottom,
    )


def discriminator_recipe(
    widths: Sequence[int], down: int, condition_dim: int | None, shortcut: Shortcut
) -> Callable[[], Discriminator]:
    """The discriminator of checked widths. Raises UserError for an unknown shortcut."""
    check_choice(shortcut, "d_shortcut", get_args(Shortcut))
    return partial(Discriminator, widths, down=down, condition_dim=condition_dim, shortcut=shortcut)
