"""SNGAN at 32, 64 and 128 pixels: settings, and what each size makes of them.

Where code bases differ, a field names their values: Miyato and Koyama 2018 (the reference code), mimicry (Lee and Town
2020), BigGAN-PyTorch's SNGAN, and DISP (appendix A). Without conditions the parameter counts equal mimicry's at every
size: G has 4,276,739 and D 1,053,825 parameters at 32 px, 12,220,675 and 10,141,441 at 64 px, 32,150,787 and 29,017,857
at 128 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import get_args

from bench.errors import UserError
from bench.networks import interface
from bench.networks.common.checks import check_choice, check_optional_sizes, check_sizes, check_switches
from bench.networks.common.layers import Shortcut, Upsample
from bench.networks.common.recipe import Recipe
from bench.networks.sngan.pair import Discriminator, Generator


@dataclass(frozen=True, kw_only=True)
class SNGANSettings:
    """What all sizes have; a size's own class adds how its widths follow from `g_width` and `d_width`."""

    z_dim: int = 128  # mimicry: 128
    condition_dim: int | None = None  # size of a condition, for G's norms and D's projection; None: none
    shared_dim: int = 128  # size of the condition's embedding in G (DISP, section 4)
    g_width: int | Sequence[int]  # G's widest map
    d_width: int | Sequence[int]  # D's widest map
    sn_generator: bool = False  # spectral norm in G: DISP has it (appendix A), the others have none
    upsample: Upsample = "nearest"  # BigGAN-PyTorch: nearest; mimicry: bilinear
    # What D's shortcuts read: x in the reference code; ReLU(x), "rectified", in mimicry's.
    d_shortcut: Shortcut = "plain"

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(1, z_dim=self.z_dim, shared_dim=self.shared_dim)
        check_optional_sizes(condition_dim=self.condition_dim)
        check_switches(sn_generator=self.sn_generator)
        check_choice(self.upsample, "upsample", get_args(Upsample))
        check_choice(self.d_shortcut, "d_shortcut", get_args(Shortcut))

    @property
    def g_widths(self) -> Sequence[int]:
        """Channels of G's first map and of each block's output."""
        raise NotImplementedError

    @property
    def d_widths(self) -> Sequence[int]:
        """Channels after each of D's blocks."""
        raise NotImplementedError

    @property
    def bottom(self) -> int:
        """Height and width of G's first map."""
        return 4

    @property
    def down(self) -> int:
        """How many of D's blocks, the first ones, halve the map."""
        return 5

    def generator(self) -> interface.Generator:
        """A new generator."""
        return Generator(
            self.g_widths,
            z_dim=self.z_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            upsample=self.upsample,
            sn_generator=self.sn_generator,
            bottom=self.bottom,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator."""
        return Discriminator(self.d_widths, down=self.down, condition_dim=self.condition_dim, shortcut=self.d_shortcut)


@dataclass(frozen=True, kw_only=True)
class SNGAN32Settings(SNGANSettings):
    """32 px: G has three up blocks of constant width, D four blocks of constant width.

    Four widths instead of one taper a network that a CPU trains (most of the arithmetic is at 32 px): those of G's
    first map and of its blocks, and those of D's blocks.
    """

    g_width: int | Sequence[int] = 256  # Miyato et al. 2018, table 4, and mimicry: 256
    d_width: int | Sequence[int] = 128  # the same: 128
    # How many of D's blocks halve the map: 2 in all code bases. 3 ends at 4x4 as the larger networks do, so that the
    # sum over space and with it the logits and the consistency loss have their size.
    d_down: int = 2

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        _four("g_width", self.g_width)
        widths = _four("d_width", self.d_width)
        if self.d_down not in (2, 3, 4):
            raise UserError(f"d_down={self.d_down!r} must be 2, 3 or 4")
        if len(set(widths[self.d_down - 1 :])) > 1:
            raise UserError(
                f"d_width={list(widths)}: blocks after the first {self.d_down} keep the width of the one before"
            )
        super().__post_init__()

    @property
    def g_widths(self) -> Sequence[int]:
        """One width for all, or four as they are."""
        return _four("g_width", self.g_width)

    @property
    def d_widths(self) -> Sequence[int]:
        """One width for all, or four as they are."""
        return _four("d_width", self.d_width)

    @property
    def down(self) -> int:
        """As the setting says."""
        return self.d_down


@dataclass(frozen=True)
class SNGANLargeSettings(SNGANSettings):
    """64 px: G's width halves in each of four up blocks; D's doubles from d_width/16 to d_width in five.

    128 px: as at 64 px, with an up block of g_width before, and a flat D block of d_width after.
    """

    resolution: int  # 64 or 128
    _: KW_ONLY
    g_width: int = 1024  # mimicry: 1024
    d_width: int = 1024  # mimicry: 1024

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(16, g_width=self.g_width, d_width=self.d_width)
        super().__post_init__()

    @property
    def g_widths(self) -> Sequence[int]:
        """g_width, ..., g_width/16."""
        widths = [self.g_width >> halvings for halvings in range(5)]
        return [self.g_width, *widths] if self.resolution == 128 else widths

    @property
    def d_widths(self) -> Sequence[int]:
        """d_width/16, ..., d_width."""
        widths = [self.d_width >> halvings for halvings in range(4, -1, -1)]
        return [*widths, self.d_width] if self.resolution == 128 else widths


def _four(key: str, width: int | Sequence[int]) -> Sequence[int]:
    """One width four times, or four widths as they are."""
    widths = [width] * 4 if isinstance(width, int) else width
    if not isinstance(widths, Sequence) or len(widths) != 4:
        raise UserError(f"{key}={width!r} must be one whole number or four")
    for width_of_block in widths:
        check_sizes(1, **{key: width_of_block})
    return widths


sngan_32 = Recipe(SNGAN32Settings)
sngan_64 = Recipe(SNGANLargeSettings, 64)
sngan_128 = Recipe(SNGANLargeSettings, 128)
