"""SNGAN at 48 pixels (STL-10): settings of the forms of two code bases (see pair_48.py).

Without conditions G has 4,878,083 and D 10,141,441 parameters as mimicry's (the default), 6,254,339 and 25,114,817 as
compare_gan's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bench.errors import UserError
from bench.networks import interface
from bench.networks.common.checks import check_choice, check_sizes
from bench.networks.common.recipe import Recipe
from bench.networks.sngan import pair_48
from bench.networks.sngan.recipes import SNGANSettings

Variant = Literal["mimicry", "compare_gan"]


@dataclass(frozen=True, kw_only=True)
class SNGAN48Settings(SNGANSettings):
    """G's width halves in each of three up blocks; D's doubles from d_width/16 to d_width, four of five blocks down."""

    g_width: int = 512  # mimicry and compare_gan: 512
    d_width: int = 1024  # mimicry and compare_gan: 1024
    variant: Variant = "mimicry"  # whose blocks; compare_gan's have no `upsample` and `d_shortcut` to choose

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_choice(self.variant, "variant", get_args(Variant))
        check_sizes(8, g_width=self.g_width)
        check_sizes(16, d_width=self.d_width)
        if self.variant == "compare_gan" and (self.upsample, self.d_shortcut) != ("nearest", "plain"):
            raise UserError(
                "upsample and d_shortcut are settings of variant 'mimicry': compare_gan's blocks have their own"
            )
        super().__post_init__()

    @property
    def g_widths(self) -> Sequence[int]:
        """g_width, ..., g_width/8."""
        return [self.g_width >> halvings for halvings in range(4)]

    @property
    def d_widths(self) -> Sequence[int]:
        """d_width/16, ..., d_width."""
        return [self.d_width >> halvings for halvings in range(4, -1, -1)]

    @property
    def bottom(self) -> int:
        """48 is 6 doubled three times."""
        return pair_48.BOTTOM

    @property
    def down(self) -> int:
        """The last block keeps the map."""
        return pair_48.DOWN

    def generator(self) -> interface.Generator:
        """A new generator of the variant."""
        if self.variant == "mimicry":
            return super().generator()
        return pair_48.Generator(
            self.g_widths,
            z_dim=self.z_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            sn_generator=self.sn_generator,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator of the variant."""
        if self.variant == "mimicry":
            return super().discriminator()
        return pair_48.Discriminator(self.d_widths, condition_dim=self.condition_dim)


sngan_48 = Recipe(SNGAN48Settings)
