"""FastGAN at 64 to 1024 pixels: skip-layer excitation in G (SLE), an auto-encoding D (AE-D); settings and sizes.

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

Declared choices. The text has one convolution per resolution and three channels from 512 px on. The growth of
table 1 from 256 to 1024 px (0.018 million for the baseline) contradicts both, and is that of the released blocks,
which both variants have. On noise and initialisation the text is silent: both are the released ones. In `paper` the
leaky slope is 0.2, a part may start at any of 15x15 cells, and tanh is DCGAN's. `skip=False` takes D's gates away
too. Sizes under 256 were never published: they are the larger networks less their outermost blocks, small images
are R/2 and decoded ones min(R, 128), and `paper` has the SLE 4->64 at 64 px, its only possible one. Nor were
conditions: G concatenates a linear embedding to z; D adds DISP's projection (equation 3) on its mean 8x8 map.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, get_args

from torch import nn

from bench.networks import interface
from bench.networks.common.checks import check_choice, check_optional_sizes, check_sizes, check_switches
from bench.networks.common.recipe import Recipe
from bench.networks.fastgan.discriminator import Discriminator
from bench.networks.fastgan.generator import LOW, REACH, Generator
from bench.networks.fastgan.layers import SLOPE, Crops

Variant = Literal["paper", "released"]
CROPS = {"released": Crops(side=8, step=8), "paper": Crops(side=2, step=1)}


@dataclass(frozen=True)
class FastGANSettings:
    """What the text leaves open has the released code's value."""

    resolution: int  # 64, 128, ..., 1024
    _: KW_ONLY
    z_dim: int = 256  # released: 256
    condition_dim: int | None = None  # size of a condition; the originals have none
    shared_dim: int = 128  # size of the condition's embedding in G, which the originals lack
    ngf: int = 64  # G has 16 * ngf channels at 4x4; released: 64
    ndf: int = 64  # D has 8 * ndf channels at 8x8; released: 64
    skip: bool = True  # SLE in G, and of `released` the gates in D
    decoders: bool = True  # D's decoders (AE-D)
    decoder_width: int = 32  # the last of the decoders' widths; released: 32
    variant: Variant = "released"  # see above

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        size = self.resolution
        check_sizes(1, z_dim=self.z_dim, shared_dim=self.shared_dim, decoder_width=self.decoder_width)
        check_optional_sizes(condition_dim=self.condition_dim)
        # G's largest map has ngf * 128 / R channels; D's first has ndf * 64 / its size.
        check_sizes(max(1, size // 128), ngf=self.ngf)
        check_sizes(max(min(size // 64, 4), size // 128), ndf=self.ndf)
        check_switches(skip=self.skip, decoders=self.decoders)
        check_choice(self.variant, "variant", get_args(Variant))

    @property
    def released(self) -> bool:
        """Whether the released code is followed, and not the text."""
        return self.variant == "released"

    @property
    def small_resolution(self) -> int | None:
        """Height and width of G's second output and of D's branch for it, or None for one scale."""
        return min(128, self.resolution // 2) if self.released else None

    @property
    def excited(self) -> tuple[int, ...]:
        """The sizes of the maps that an SLE multiplies."""
        if not self.skip:
            return ()
        low = LOW[1:] if self.variant == "paper" and self.resolution > 64 else LOW
        return tuple(REACH * size for size in low if REACH * size <= self.resolution)

    def generator(self) -> interface.Generator:
        """A new generator."""
        return Generator(
            self.resolution,
            z_dim=self.z_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            ngf=self.ngf,
            excited=self.excited,
            activation=nn.SiLU if self.released else partial(nn.LeakyReLU, SLOPE),
            small_resolution=self.small_resolution,
            bounded=not self.released or self.resolution == 1024,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator."""
        return Discriminator(
            self.resolution,
            ndf=self.ndf,
            condition_dim=self.condition_dim,
            small_resolution=self.small_resolution,
            gates=self.skip and self.released,
            decoded_resolution=min(128, self.resolution) if self.decoders else None,
            decoder_width=self.decoder_width,
            crops=CROPS[self.variant],
        )


# 64 px is for a CPU, with ngf and ndf of 8 or 16; nobody published networks of 64 and 128 px. As released, G and D
# have 29,127,846 and 11,526,160 parameters at 256 px, 29,174,392 and 11,526,496 at 512, 29,176,512 and 11,528,192
# at 1024.
fastgan_64 = Recipe(FastGANSettings, 64)
fastgan_128 = Recipe(FastGANSettings, 128)
fastgan_256 = Recipe(FastGANSettings, 256)
fastgan_512 = Recipe(FastGANSettings, 512)
fastgan_1024 = Recipe(FastGANSettings, 1024)
