"""StyleGAN2 at 32 to 1024 pixels: settings, and what each size makes of them.

The defaults are config F of Karras et al. 2020. The parameter counts at 256 (widths 1, 0.5, 0.25), 128 and 1024 px
and at 32 px equal those of stylegan2-ada-pytorch (Karras et al. 2020, ADA), whose maths every layer can reproduce, so
that its checkpoints can be imported. G / D without conditions, in millions: 32 px 13.51 / 13.92; 256 px 30.03 / 28.86
(width 0.5: 24.77 / 24.00, 0.25: 19.35 / 19.05); 1024 px 30.37 / 29.01. FastGAN's table 1 prints 108.8, 45.0 and 27.6
at 256 and 109.2, 45.2 and 27.6 at 1024, which no sum of these gives.

ADA's networks for CIFAR-10 are `channel_base: 32768, mapping_layers: 2, d_architecture: orig, mbstd_group: 32,
mixing: 0` at 32 px.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import get_args

from bench.errors import UserError
from bench.networks import interface
from bench.networks.common.checks import check_choice, check_numbers, check_optional_sizes, check_sizes
from bench.networks.common.recipe import Recipe
from bench.networks.interface import Noise
from bench.networks.stylegan2.discriminator import Architecture, Discriminator
from bench.networks.stylegan2.generator import Generator
from bench.networks.stylegan2.mapping import ConditionForm, ConditionNorm, MixingPer, map_sizes


@dataclass(frozen=True)
class StyleGAN2Settings:
    """A map of R pixels has min(width * channel_base / R, channel_max) channels."""

    resolution: int  # 32, 64, ..., 1024
    _: KW_ONLY
    z_dim: int = 512  # StyleGAN2, ADA: 512
    w_dim: int = 512  # the same: 512
    condition_dim: int | None = None  # size of a condition; None: none
    shared_dim: int = 512  # size of the condition's embedding in G; ADA's is w_dim
    width: float = 1.0  # FastGAN, table 1: 0.25, 0.5 and 1
    channel_base: int = 32768  # StyleGAN2, config F: 32768
    channel_max: int = 512  # StyleGAN2, ADA: 512
    mapping_layers: int = 8  # StyleGAN2, ADA's paper settings: 8; ADA's auto and cifar: 2
    # How conditions enter: "disp", or "ada", whose G_emb is one linear map to shared_dim = w_dim and whose D maps the
    # class by class_layers more and has no judgement without it.
    condition_form: ConditionForm = "disp"
    class_layers: int = 8  # of ADA's D, see above
    # z and embedding are normalised as one vector, "joint" (StyleGAN2, and DiffAugment's code, which DISP builds on),
    # or each, "separate" (ADA).
    condition_norm: ConditionNorm = "joint"
    mixing: float = 0.9  # chance of a second z from a random layer on, in training; ADA's cifar: 0
    # One crossover a batch (StyleGAN2, ADA), or an "image" (DiffAugment's code).
    mixing_per: MixingPer = "batch"
    truncation: float = 1.0  # outside training, of w towards its average; 1: none
    noise: Noise = "random"  # outside training: "random" as all of them score, "const" or "none"
    d_architecture: Architecture = "resnet"  # ADA's cifar: "orig"
    mbstd_group: int = 4  # images a group of the minibatch deviation; ADA's cifar: 32
    clamp: float | None = None  # of activations; 256 where weights were trained with ADA's mixed precision

    def __post_init__(self) -> None:
        """Raises UserError for an impossible value."""
        check_sizes(1, z_dim=self.z_dim, w_dim=self.w_dim, shared_dim=self.shared_dim)
        check_sizes(1, mapping_layers=self.mapping_layers, class_layers=self.class_layers)
        check_sizes(1, channel_base=self.channel_base, channel_max=self.channel_max, mbstd_group=self.mbstd_group)
        check_optional_sizes(condition_dim=self.condition_dim)
        check_numbers(0, 1, mixing=self.mixing, truncation=self.truncation)
        check_numbers(0, 16, width=self.width)
        clamp = self.clamp
        if clamp is not None and (isinstance(clamp, bool) or not isinstance(clamp, int | float) or not clamp > 0):
            raise UserError(f"clamp={clamp!r} must be a number above 0, or nothing")
        check_choice(self.condition_form, "condition_form", get_args(ConditionForm))
        check_choice(self.condition_norm, "condition_norm", get_args(ConditionNorm))
        check_choice(self.mixing_per, "mixing_per", get_args(MixingPer))
        check_choice(self.noise, "noise", get_args(Noise))
        check_choice(self.d_architecture, "d_architecture", get_args(Architecture))
        if self.widths[-1] < 1:
            least = self.resolution / self.channel_base
            raise UserError(
                f"width={self.width!r} leaves no channel at {self.resolution} px; it must be at least {least:g}"
            )

    @property
    def widths(self) -> list[int]:
        """Channels at 4x4, 8x8, ..., the full resolution."""
        base = int(self.channel_base * self.width)
        return [min(base // size, self.channel_max) for size in map_sizes(self.resolution)]

    def generator(self) -> interface.Generator:
        """A new generator."""
        return Generator(
            self.widths,
            z_dim=self.z_dim,
            w_dim=self.w_dim,
            condition_dim=self.condition_dim,
            shared_dim=self.shared_dim,
            mapping_layers=self.mapping_layers,
            condition_form=self.condition_form,
            condition_norm=self.condition_norm,
            mixing=self.mixing,
            mixing_per=self.mixing_per,
            truncation=self.truncation,
            noise=self.noise,
            clamp=self.clamp,
        )

    def discriminator(self) -> interface.Discriminator:
        """A new discriminator."""
        return Discriminator(
            self.widths[::-1],
            condition_dim=self.condition_dim,
            condition_form=self.condition_form,
            class_layers=self.class_layers,
            architecture=self.d_architecture,
            mbstd_group=self.mbstd_group,
            clamp=self.clamp,
        )


# 32 px: the widths of DiffAugment's CIFAR networks (512 up to 8 px, then 256 and 128), which DISP uses.
stylegan2_32 = Recipe(StyleGAN2Settings, 32, channel_base=4096)
stylegan2_64 = Recipe(StyleGAN2Settings, 64)
stylegan2_128 = Recipe(StyleGAN2Settings, 128)
stylegan2_256 = Recipe(StyleGAN2Settings, 256)
stylegan2_512 = Recipe(StyleGAN2Settings, 512)
stylegan2_1024 = Recipe(StyleGAN2Settings, 1024)
