"""SNDCGAN at 32 and 128 pixels: settings, and what each size makes of them (see sndcgan.py).

Without conditions G has 3,828,739 and D 5,860,865 parameters at 32 px, 19,926,019 and 5,983,745 at 128 px.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from bench.errors import UserError
from bench.networks import interface
from bench.networks.common.checks import check_optional_sizes, check_sizes
from bench.networks.common.recipe import Recipe
from bench.networks.sngan.sndcgan import Discriminator, Generator


@dataclass(frozen=True)
class SNDCGANSettings:
    """G halves g_width channels from a map of resolution/8; D doubles d_width/8 to d_width channels at that size."""

    resolution: int  # 32 or 128
    _: KW_ONLY
    z_dim: int = 128  # compare_gan: 128
    condition_dim: int | None = None  # size of a condition; the originals have none
    shared_dim: int = 128  # size of the condition's embedding in G, which the originals lack
    g_width: int = 512  # Miyato et al. 2018, table 3: 512
    d_width: int = 512  # the same: 512
    d_slope: float = 0.1  # of D's leaky ReLU: 0.1 in compare_gan, 0 (ReLU) in LT-GAN's supplement

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(1, z_dim=self.z_dim, shared_dim=self.shared_dim)
        check_optional_sizes(condition_dim=self.condition_dim)
        check_sizes(8, g_width=self.g_width, d_width=self.d_width)
        slope = self.d_slope
        if isinstance(slope, bool) or not isinstance(slope, int | float) or not 0 <= slope < 1:
            raise UserError(f"d_slope={slope!r} must be a number from 0 (ReLU) to below 1")

    def generator(self) -> interface.Generator:
        """A new generator."""
        return Generator(
            [self.g_width >> halvings for halvings in range(4)],
            resolution=self.resolution,
            z_dim=self.z_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator."""
        return Discriminator(
            [self.d_width >> halvings for halvings in range(3, -1, -1)],
            resolution=self.resolution,
            slope=self.d_slope,
            condition_dim=self.condition_dim,
        )


sndcgan_32 = Recipe(SNDCGANSettings, 32)
sndcgan_128 = Recipe(SNDCGANSettings, 128)
