"""FastGAN at 64 to 1024 pixels: skip-layer excitation in G (SLE), an auto-encoding D (AE-D).

Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis", ICLR.
The rows of its ablations are settings: Baseline is skip=False and decoders=False, +Skip and +Decode have one of
them. Text and released code differ, and `variant` says which to follow:

                      released                               paper
SLE of G              4->64, 8->128, 16->256, 32->512        8->128, 16->256, 32->512
SLE activation        Swish                                  LeakyReLU
gates inside D        onto the 32, 16 and 8 px maps          none
scales                two: small head in G, branch in D      one
logits of an image    50                                     25
decoders              whole, part, small                     whole, part
part                  a quadrant of the 16x16 map            1/8 of its height and width
tanh on G's output    at 1024 only                           at every size

`released` has the released code's parameter counts (below); those of table 1 (47.363 million for G and D at 256
px) follow from neither.

Declared choices. The text has one convolution per resolution and three channels from 512 px on; the growth of
table 1 from 256 to 1024 px (0.018 million for the baseline) contradicts both and is that of the released blocks,
which both variants have. On noise and initialisation the text is silent: both are the released ones. In `paper` the
leaky slope is 0.2, a part may start at any of 15x15 cells, and tanh is DCGAN's. `skip=False` takes D's gates away
too. Sizes under 256 were never published: they are the larger networks less their outermost blocks, small images
are R/2 and decoded ones min(R, 128), and `paper` has the SLE 4->64 at 64 px, its only possible one. Nor were
conditions: G concatenates a linear embedding to z; D adds DISP's projection (equation 3) on its mean 8x8 map.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from bench.networks import interface
from bench.networks.common.checks import check_choice, check_sizes, check_switches
from bench.networks.common.layers import linear, plain
from bench.networks.fastgan.discriminator import Discriminator
from bench.networks.fastgan.layers import (
    SLOPE,
    Crops,
    SkipExcitation,
    conv,
    first_block,
    noisy_up_block,
    up_block,
)
from bench.networks.interface import HasBlocks, Makers, TwoScales

Variant = Literal["paper", "released"]

BOTTOM = 4  # height and width of the generator's first map
REACH = 16  # an SLE's high map has this many times the height and width of its low map
LOW = (4, 8, 16, 32)  # the sizes of low maps
WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 1 / 2, 512: 1 / 4, 1024: 1 / 8}  # times ngf
NOISY = (8, 32, 128, 512)  # the sizes whose block has two convolutions and noise
CROPS = {"released": Crops(side=8, step=8), "paper": Crops(side=2, step=1)}


class Generator(interface.Generator, HasBlocks, TwoScales):
    """z and an optional condition -> images; it draws noise from the active stream of bench.networks.common.noise.

    excited: the sizes of the maps that an SLE multiplies. small_resolution: height and width of the second output,
    or None for one output. bounded: whether a tanh keeps the outputs in [-1, 1].
    """

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        ngf: int,
        excited: tuple[int, ...],
        activation: Callable[[], nn.Module],
        small_resolution: int | None,
        bounded: bool,
    ) -> None:
        super().__init__()
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution, self.small_resolution, self.bounded = resolution, small_resolution, bounded
        self.sizes = [size for size in WIDTHS if BOTTOM < size <= resolution]
        widths = {size: int(times * ngf) for size, times in WIDTHS.items()}
        self.first = first_block(z_dim + (0 if condition_dim is None else shared_dim), widths[BOTTOM])
        self.blocks = nn.ModuleList(
            (noisy_up_block if size in NOISY else up_block)(widths[size // 2], widths[size])
            for size in self.sizes
        )
        self.to_image = conv(widths[resolution], 3, 3, padding=1)
        self.to_small = None if small_resolution is None else conv(widths[small_resolution], 3, 1)
        # Drawn after what `skip` leaves alone, so that all else agrees between the rows of an ablation.
        self.excitations = nn.ModuleDict(
            {str(size): SkipExcitation(widths[size // REACH], widths[size], activation()) for size in excited}
        )
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def embed(self, condition_NK: Tensor) -> Tensor:
        """(N, condition_dim) -> (N, shared_dim)."""
        if self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return self.condition_embedding(condition_NK)

    def _input(self, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        if embedding_NE is None and self.condition_embedding is not None:
            raise ValueError("this generator needs a condition")
        if embedding_NE is not None and self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return z_NZ if embedding_NE is None else torch.cat([z_NZ, embedding_NE], dim=1)

    def _maps(self, input_NZ: Tensor, style: dict[int, Tensor] | None = None) -> dict[int, Tensor]:
        """Maps by size: those that SLEs read, of which `style` may lend others, the small one and the last."""
        h_NCHW = self.first(input_NZ[:, :, None, None])
        maps = {BOTTOM: h_NCHW}
        for size, block in zip(self.sizes, self.blocks, strict=True):
            h_NCHW = block(h_NCHW)
            if str(size) in self.excitations:
                low_NLHW = (maps if style is None else style)[size // REACH]
                h_NCHW = self.excitations[str(size)](low_NLHW, h_NCHW)
            if size in LOW or size in (self.small_resolution, self.resolution):
                maps[size] = h_NCHW
        return maps

    def _shown(self, image_NCHW: Tensor) -> Tensor:
        return torch.tanh(image_NCHW) if self.bounded else image_NCHW

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, shared_dim) -> images (N, 3, R, R).

        Raises ValueError where a condition is missing or superfluous.
        """
        maps = self._maps(self._input(z_NZ, embedding_NE))
        return self._shown(self.to_image(maps[self.resolution]))

    def both_scales(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, 3, R, R) as `forward` gives them, and the second output (N, 3, S, S) for D's `small_NCHW`.

        Raises ValueError where G has one output only.
        """
        if self.to_small is None or self.small_resolution is None:
            raise ValueError("this generator has one output: variant='released' has two")
        maps = self._maps(self._input(z_NZ, None if condition_NK is None else self.embed(condition_NK)))
        images_NCHW = self._shown(self.to_image(maps[self.resolution]))
        return images_NCHW, self._shown(self.to_small(maps[self.small_resolution]))

    def mix_styles(self, content_NZ: Tensor, style_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """Images of `content` whose SLEs read the low maps of `style` (section 4.2 and appendix C).

        Draws noise twice, for the style first.
        """
        embedding_NE = None if condition_NK is None else self.embed(condition_NK)
        style = self._maps(self._input(style_NZ, embedding_NE))
        maps = self._maps(self._input(content_NZ, embedding_NE), style)
        return self._shown(self.to_image(maps[self.resolution]))


def _fastgan(
    resolution: int,
    *,
    z_dim: int = 256,
    condition_dim: int | None = None,
    shared_dim: int = 128,
    ngf: int = 64,
    ndf: int = 64,
    skip: bool = True,
    decoders: bool = True,
    decoder_width: int = 32,
    variant: Variant = "released",
) -> Makers:
    """The networks of one resolution.

    ngf: G has 16 * ngf channels at 4x4. ndf: D has 8 * ndf at 8x8. decoder_width: the last of the decoders' widths.
    shared_dim: size of the condition's embedding in G. skip, decoders, variant: see the module.
    """
    check_sizes(1, z_dim=z_dim, shared_dim=shared_dim, decoder_width=decoder_width)
    check_sizes(1, condition_dim=1 if condition_dim is None else condition_dim)
    check_sizes(max(1, resolution // 128), ngf=ngf)  # the largest map has ngf * 128 / R channels
    check_sizes(
        max(min(resolution // 64, 4), resolution // 128), ndf=ndf
    )  # D's first has ndf * 64 / its size
    check_switches(skip=skip, decoders=decoders)
    check_choice(variant, "variant", get_args(Variant))
    released = variant == "released"
    small_resolution = min(128, resolution // 2) if released else None
    generator = partial(
        Generator,
        resolution,
        z_dim=z_dim,
        condition_dim=condition_dim,
        shared_dim=shared_dim,
        ngf=ngf,
        excited=_excited(resolution, variant) if skip else (),
        activation=nn.SiLU if released else partial(nn.LeakyReLU, SLOPE),
        small_resolution=small_resolution,
        bounded=not released or resolution == 1024,
    )
    discriminator = partial(
        Discriminator,
        resolution,
        ndf=ndf,
        condition_dim=condition_dim,
        small_resolution=small_resolution,
        gates=skip and released,
        decoded_resolution=min(128, resolution) if decoders else None,
        decoder_width=decoder_width,
        crops=CROPS[variant],
    )
    return generator, discriminator


def _excited(resolution: int, variant: Variant) -> tuple[int, ...]:
    first = 1 if variant == "paper" and resolution > 64 else 0
    return tuple(REACH * size for size in LOW[first:] if REACH * size <= resolution)


# 64 px is for a CPU, with ngf and ndf of 8 or 16; nobody published networks of 64 and 128 px. As released, G and D
# have 29,127,846 and 11,526,160 parameters at 256 px, 29,174,392 and 11,526,496 at 512, 29,176,512 and 11,528,192
# at 1024.
fastgan_64 = partial(_fastgan, 64)
fastgan_128 = partial(_fastgan, 128)
fastgan_256 = partial(_fastgan, 256)
fastgan_512 = partial(_fastgan, 512)
fastgan_1024 = partial(_fastgan, 1024)
