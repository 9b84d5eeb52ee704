"""SNGAN residual networks at 32, 64 and 128 pixels, with optional conditions.

Blocks, widths and the spectral norm in D follow Miyato and Koyama 2018 (cGANs with Projection Discriminator);
without conditions the parameter counts equal those of mimicry (Lee and Town 2020) at every size. Conditions
enter as in DISP, section 4: G through a linear embedding and conditional batch norm, D through a projection.

Declared choices, where code bases differ: up-sampling is `nearest` (BigGAN-PyTorch's) unless `bilinear`
(mimicry's) is asked for; the generator's last batch norm is never conditional; layers outside a block's 3x3
convolutions have Glorot gain 1; G has no spectral norm unless `sn_generator`, which DISP uses (appendix A).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UserError, did_you_mean
from bench.networks.layers import (
    BatchNorm,
    DownBlock,
    FirstDownBlock,
    FlatBlock,
    UpBlock,
    Upsample,
    conv,
    linear,
    plain,
    spectral,
)

BOTTOM = 4  # height and width of the generator's first map


class Generator(nn.Module):
    """z and an optional condition -> images in [-1, 1].

    widths: channels of the first map and of each block's output; every block doubles a 4x4 map.
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
    ) -> None:
        super().__init__()
        wrap = spectral if sn_generator else plain
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        embedding_dim = None if condition_dim is None else shared_dim
        self.linear = linear(z_dim, widths[0] * BOTTOM * BOTTOM, wrap)
        self.blocks = nn.ModuleList(
            UpBlock(before, after, embedding_dim, upsample, wrap) for before, after in pairwise(widths)
        )
        self.norm = BatchNorm(widths[-1])
        self.conv = conv(widths[-1], 3, 3, 1.0, wrap)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def embed(self, condition_NK: Tensor) -> Tensor:
        """G_emb: (N, condition_dim) -> (N, shared_dim)."""
        if self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return self.condition_embedding(condition_NK)

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, shared_dim) -> images (N, 3, resolution, resolution) in [-1, 1].

        An embedding of shape (N, blocks, shared_dim) gives each block its own, as DISP's inversion does
        (IvOM, appendix C). Raises ValueError where a condition is missing or superfluous.
        """
        if (embedding_NE is None) != (self.condition_embedding is None):
            need = (
                "needs a condition"
                if embedding_NE is None
                else "has no condition: build it with condition_dim"
            )
            raise ValueError(f"this generator {need}")
        h_NCHW = self.linear(z_NZ).unflatten(1, (-1, BOTTOM, BOTTOM))
        for block, block_embedding_NE in zip(self.blocks, self._for_each_block(embedding_NE), strict=True):
            h_NCHW = block(h_NCHW, block_embedding_NE)
        return torch.tanh(self.conv(F.relu(self.norm(h_NCHW))))

    def _for_each_block(self, embedding: Tensor | None) -> Sequence[Tensor | None]:
        if embedding is not None and embedding.ndim == 3:
            return embedding.unbind(1)
        return [embedding] * len(self.blocks)

    def forward(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, condition_dim) -> images (N, 3, resolution, resolution) in [-1, 1]."""
        return self.synthesize(z_NZ, None if condition_NK is None else self.embed(condition_NK))


class Discriminator(nn.Module):
    """Images and an optional condition -> logits. Every layer is spectrally normalised.

    widths: channels after each block; blocks after the first `down` keep height and width (and so the width).
    """

    def __init__(self, widths: Sequence[int], *, down: int, condition_dim: int | None) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.blocks = nn.ModuleList([FirstDownBlock(3, widths[0], spectral)])
        for position, (before, after) in enumerate(pairwise(widths), start=1):
            block = DownBlock(before, after, spectral) if position < down else FlatBlock(after, spectral)
            self.blocks.append(block)
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

    def unconditional_logits(self, images_NCHW: Tensor) -> Tensor:
        """D_l(D_f(x)), the linear head alone: (N,). The score of the overfitting curves (DISP, figure 1)."""
        return self.linear(self.features(images_NCHW)).squeeze(1)

    def forward(self, images_NCHW: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """D(x, y) = D_l(D_f(x)) + D_emb(y) . D_f(x), logits (N,) (DISP, equation 3).

        Raises ValueError where a condition is missing or superfluous.
        """
        h_NF = self.features(images_NCHW)
        logits_N = self.linear(h_NF).squeeze(1)
        if condition_NK is None and self.condition_embedding is None:
            return logits_N
        if condition_NK is None or self.condition_embedding is None:
            need = (
                "needs a condition"
                if condition_NK is None
                else "has no condition: build it with condition_dim"
            )
            raise ValueError(f"this discriminator {need}")
        return logits_N + (self.condition_embedding(condition_NK) * h_NF).sum(dim=1)


Recipes = tuple[Callable[[], Generator], Callable[[], Discriminator]]


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
) -> Recipes:
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
    generator = _generator(
        g_widths, z_dim, condition_dim, shared_dim, sn_generator=sn_generator, upsample=upsample
    )
    return generator, partial(Discriminator, d_widths, down=d_down, condition_dim=condition_dim)


def _four(key: str, width: int | Sequence[int]) -> Sequence[int]:
    """One width four times, or four widths as they are."""
    widths = [width] * 4 if isinstance(width, int) else width
    if not isinstance(widths, Sequence) or len(widths) != 4:
        raise UserError(f"{key}={width!r} must be one whole number or four")
    for one in widths:
        _check(1, **{key: one})
    return widths


def sngan_64(
    *,
    z_dim: int = 128,
    condition_dim: int | None = None,
    shared_dim: int = 128,
    g_width: int = 1024,
    d_width: int = 1024,
    sn_generator: bool = False,
    upsample: Upsample = "nearest",
) -> Recipes:
    """64 px: g_width halves in each of four up blocks; D doubles from d_width/16 to d_width in five.

    Without conditions G has 12,220,675 and D 10,141,441 parameters.
    """
    _check(16, g_width=g_width, d_width=d_width)
    generator = _generator(
        _halving(g_width), z_dim, condition_dim, shared_dim, sn_generator=sn_generator, upsample=upsample
    )
    return generator, partial(Discriminator, _halving(d_width)[::-1], down=5, condition_dim=condition_dim)


def sngan_128(
    *,
    z_dim: int = 128,
    condition_dim: int | None = None,
    shared_dim: int = 128,
    g_width: int = 1024,
    d_width: int = 1024,
    sn_generator: bool = False,
    upsample: Upsample = "nearest",
) -> Recipes:
    """128 px: as at 64 px, with an up block of g_width before, and a flat D block of d_width after.

    Without conditions G has 32,150,787 and D 29,017,857 parameters.
    """
    _check(16, g_width=g_width, d_width=d_width)
    generator = _generator(
        [g_width, *_halving(g_width)],
        z_dim,
        condition_dim,
        shared_dim,
        sn_generator=sn_generator,
        upsample=upsample,
    )
    d_widths = [*_halving(d_width)[::-1], d_width]
    return generator, partial(Discriminator, d_widths, down=5, condition_dim=condition_dim)


def _halving(width: int) -> list[int]:
    return [width, width // 2, width // 4, width // 8, width // 16]


def _generator(
    widths: Sequence[int],
    z_dim: int,
    condition_dim: int | None,
    shared_dim: int,
    *,
    sn_generator: bool,
    upsample: Upsample,
) -> Callable[[], Generator]:
    _check(1, z_dim=z_dim, shared_dim=shared_dim, condition_dim=1 if condition_dim is None else condition_dim)
    if not isinstance(sn_generator, bool):
        raise UserError(f"sn_generator={sn_generator!r} must be true or false")
    if upsample not in get_args(Upsample):
        raise UserError(f"unknown upsample {upsample!r}; {did_you_mean(str(upsample), get_args(Upsample))}")
    return partial(
        Generator,
        widths,
        z_dim=z_dim,
        condition_dim=condition_dim,
        shared_dim=shared_dim,
        upsample=upsample,
        sn_generator=sn_generator,
    )


def _check(multiple: int, **sizes: int) -> None:
    for key, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % multiple:
            what = "a positive whole number" if multiple == 1 else f"a positive multiple of {multiple}"
            raise UserError(f"{key}={value!r} must be {what}")
