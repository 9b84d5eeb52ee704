"""StyleGAN at 32, 128 and 256 pixels: settings, and what each size makes of them (see pair.py)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import get_args

from bench.errors import UserError
from bench.networks import interface
from bench.networks.common.checks import (
    check_choice,
    check_numbers,
    check_optional_sizes,
    check_sizes,
    check_switches,
)
from bench.networks.common.recipe import Recipe
from bench.networks.interface import Noise
from bench.networks.stylegan1.pair import Discriminator, Generator
from bench.networks.stylegan2.mapping import map_sizes


@dataclass(frozen=True)
class StyleGAN1Settings:
    """The port's are those of rosinality/style-based-gan-pytorch, on which FreezeD and LT-GAN build."""

    resolution: int  # 32, 128 or 256
    _: KW_ONLY
    z_dim: int = 512  # Karras et al. 2019 and the port: 512
    w_dim: int = 512  # the same: 512
    condition_dim: int | None = None  # size of a condition; the port has none
    shared_dim: int = 512  # size of the condition's embedding in G, which the port lacks
    # A map of R pixels has min(channel_base / R, channel_max) channels; the port: 16384.
    channel_base: int = 16384
    channel_max: int = 512  # the port: 512
    mapping_layers: int = 8  # Karras et al. 2019 and the port: 8
    # Chance of a second z from a random resolution on, in training; the port: with --mixing only.
    mixing: float = 0.9
    truncation: float = 1.0  # outside training, of w towards its average; 1: none
    noise: Noise = "random"  # outside training: "random" as the port samples, "const" or "none"
    # On in the port's and FreezeD's training, off in the port's older checkpoints.
    from_rgb_activation: bool = True
    # None: one deviation for the whole batch (the port); Karras et al. 2019: 4.
    mbstd_group: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(1, z_dim=self.z_dim, w_dim=self.w_dim, shared_dim=self.shared_dim)
        check_sizes(1, mapping_layers=self.mapping_layers)
        check_optional_sizes(condition_dim=self.condition_dim, mbstd_group=self.mbstd_group)
        check_sizes(1, channel_base=self.channel_base, channel_max=self.channel_max)
        check_switches(from_rgb_activation=self.from_rgb_activation)
        check_choice(self.noise, "noise", get_args(Noise))
        check_numbers(0, 1, mixing=self.mixing, truncation=self.truncation)
        if self.widths[-1] < 1:
            raise UserError(
                f"channel_base={self.channel_base} leaves no channel; it must be at least {self.resolution}"
            )

    @property
    def widths(self) -> list[int]:
        """Channels at 4x4, 8x8, ..., the full resolution."""
        return [min(self.channel_base // size, self.channel_max) for size in map_sizes(self.resolution)]

    def generator(self) -> interface.Generator:
        """A new generator, fully grown."""
        return Generator(
            self.widths,
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            mapping_layers=self.mapping_layers,
            mixing=self.mixing,
            truncation=self.truncation,
            noise=self.noise,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator, fully grown."""
        return Discriminator(
            self.widths[::-1],
            condition_dim=self.condition_dim,
            from_rgb_activation=self.from_rgb_activation,
            mbstd_group=self.mbstd_group,
        )


# 32 px is no paper's: narrow, so that a CPU trains it.
stylegan1_32 = Recipe(
    StyleGAN1Settings,
    32,
    z_dim=64,
    w_dim=64,
    shared_dim=64,
    channel_base=1024,
    channel_max=64,
    mapping_layers=4,
)
stylegan1_128 = Recipe(StyleGAN1Settings, 128)
stylegan1_256 = Recipe(StyleGAN1Settings, 256)
