"""StyleGAN2 at 32 to 1024 pixels, with optional conditions: discriminator and settings.

Mapping network, skip-connection generator and residual discriminator are config F of Karras et al. 2020; the
parameter counts at 256 (widths 1, 0.5, 0.25), 128 and 1024 px and at 32 px equal those of stylegan2-ada-pytorch
(Karras et al. 2020, ADA), whose maths every layer can reproduce, so that its checkpoints can be imported. G / D
without conditions, in millions: 32 px 13.51 / 13.92; 256 px 30.03 / 28.86 (width 0.5: 24.77 / 24.00, 0.25:
19.35 / 19.05); 1024 px 30.37 / 29.01. FastGAN's table 1 prints 108.8, 45.0 and 27.6 at 256 and 109.2, 45.2 and
27.6 at 1024, which no sum of these gives.

Conditions enter as in DISP, appendix A: G_emb, a two-layer ReLU MLP, gives an embedding that is concatenated
with z before the mapping network; D projects onto its penultimate features. `condition_form: ada` is ADA's instead.
The mapping network's first layer is kept as two: W [z, e] = W_z z + W_e e. W_z keeps the name and shape it has
without conditions, W_e lies below `condition_embedding`, and both have the scale of the concatenation,
1/sqrt(z_dim + shared_dim).

Declared, because DISP is silent: both layers of G_emb have equalised learning rates and biases, the first with
gain sqrt(2); D_emb has the gain 1/sqrt(feature_dim) that the linear head has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.common.checks import check_choice, check_numbers, check_sizes
from bench.networks.interface import Makers, Noise
from bench.networks.stylegan2.generator import Generator
from bench.networks.stylegan2.last_map import StyleDiscriminator, append_minibatch_std
from bench.networks.stylegan2.layers import (
    ACTIVATION_GAIN,
    EqualConv,
    EqualLinear,
    activate,
    binomial,
    blur,
    halve,
    unit_second_moment,
)
from bench.networks.stylegan2.mapping import BOTTOM, MAPPING_LR, ConditionForm, ConditionNorm, MixingPer

Architecture = Literal["resnet", "orig"]


class FromRGB(EqualConv):
    """Images -> a map: 1x1 convolution, leaky ReLU."""

    def __init__(self, channels: int, clamp: float | None) -> None:
        super().__init__(3, channels, 1, gain=ACTIVATION_GAIN)
        self.clamp = clamp

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C, H, W)."""
        return activate(
            super().forward(images_NCHW.contiguous(memory_format=torch.channels_last)), self.clamp
        )


class DownBlock(nn.Module):
    """Halves height and width: conv 3x3, leaky ReLU, filter, conv 3x3 at stride 2, leaky ReLU."""

    kernel_KK: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, clamp: float | None, output_gain: float = 1.0
    ) -> None:
        super().__init__()
        self.conv0 = EqualConv(in_channels, in_channels, 3, gain=ACTIVATION_GAIN)
        self.conv1 = EqualConv(
            in_channels, out_channels, 3, gain=ACTIVATION_GAIN * output_gain, stride=2, padding=0
        )
        self.clamp, self.output_clamp = clamp, None if clamp is None else clamp * output_gain
        self.register_buffer("kernel_KK", binomial(), persistent=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, H) -> (N, out, H/2, H/2)."""
        h_NCHW = activate(self.conv0(x_NCHW), self.clamp)
        return activate(self.conv1(blur(h_NCHW, self.kernel_KK, padding=2)), self.output_clamp)


class ResidualBlock(nn.Module):
    """(DownBlock(x) + skip(x)) / sqrt(2); skip: filter, every second pixel, conv 1x1 without bias."""

    def __init__(self, in_channels: int, out_channels: int, clamp: float | None) -> None:
        super().__init__()
        self.main = DownBlock(in_channels, out_channels, clamp, math.sqrt(0.5))
        self.skip = EqualConv(in_channels, out_channels, 1, gain=math.sqrt(0.5), bias=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, in, H, H) -> (N, out, H/2, H/2)."""
        skip_NCHW = self.skip(halve(x_NCHW, self.main.kernel_KK))
        return self.main(x_NCHW) + skip_NCHW


class ClassMapping(nn.Module):
    """ADA's mapping network of a class: a linear map, normalised, then layers that learn at a hundredth of the rate."""

    def __init__(self, condition_dim: int, features: int, layers: int) -> None:
        super().__init__()
        self.embed = EqualLinear(condition_dim, features)
        self.layers = nn.ModuleList(
            EqualLinear(features, features, lr_mul=MAPPING_LR, gain=ACTIVATION_GAIN) for _ in range(layers)
        )

    def forward(self, condition_NK: Tensor) -> Tensor:
        """(N, condition_dim) -> (N, features)."""
        h_NF = unit_second_moment(self.embed(condition_NK))
        for layer in self.layers:
            h_NF = activate(layer(h_NF))
        return h_NF


class Discriminator(StyleDiscriminator):
    """Images and an optional condition -> logits.

    widths: channels at full resolution, at half of it, ..., at 4x4. blocks[0] holds the layer from RGB.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        condition_dim: int | None,
        condition_form: ConditionForm,
        class_layers: int,
        architecture: Architecture,
        mbstd_group: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.mbstd_group, self.clamp = mbstd_group, clamp
        block = ResidualBlock if architecture == "resnet" else DownBlock
        blocks: list[nn.Module] = [block(before, after, clamp) for before, after in pairwise(widths)]
        self.blocks = nn.ModuleList([nn.Sequential(FromRGB(widths[0], clamp), blocks[0]), *blocks[1:]])
        self.conv = EqualConv(self.feature_dim + 1, self.feature_dim, 3, gain=ACTIVATION_GAIN)
        self.fc = EqualLinear(self.feature_dim * BOTTOM**2, self.feature_dim, gain=ACTIVATION_GAIN)
        self.judges_by_class_alone = condition_dim is not None and condition_form == "ada"
        self.linear = EqualLinear(self.feature_dim, self.feature_dim if self.judges_by_class_alone else 1)
        self.condition_embedding = None
        if condition_dim is not None:
            self.condition_embedding = (
                ClassMapping(condition_dim, self.feature_dim, class_layers)
                if self.judges_by_class_alone
                # The gain lets both logit terms start at one size: the linear head's scale has the same 1/sqrt(F).
                else EqualLinear(
                    condition_dim, self.feature_dim, bias=False, gain=1 / math.sqrt(self.feature_dim)
                )
            )

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> the last map, (N, feature_dim, 4, 4), after the minibatch deviation."""
        h_NCHW = images_NCHW
        for block in self.blocks:
            h_NCHW = block(h_NCHW)
        return activate(self.conv(append_minibatch_std(h_NCHW, self.mbstd_group)), self.clamp)

    def unconditional_logits(self, images_NCHW: Tensor) -> Tensor:
        """D_l(D_f(x)), the linear head alone: (N,). Raises ValueError where D judges by class alone."""
        if self.judges_by_class_alone:
            raise ValueError("this discriminator judges by class alone (condition_form 'ada')")
        return super().unconditional_logits(images_NCHW)

    def forward(self, images_NCHW: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """As DISP's (equation 3), or ADA's D_l(D_f(x)) . D_emb(y) / sqrt(F), where D_l has F outputs: logits (N,).

        Raises ValueError where a condition is missing or superfluous.
        """
        if not self.judges_by_class_alone:
            return super().forward(images_NCHW, condition_NK)
        if condition_NK is None or self.condition_embedding is None:
            raise ValueError("this discriminator needs a condition")
        products_NF = self.linear(self.features(images_NCHW)) * self.condition_embedding(condition_NK)
        return products_NF.sum(dim=1) / math.sqrt(self.feature_dim)


def _stylegan2(
    resolution: int,
    *,
    z_dim: int = 512,
    w_dim: int = 512,
    condition_dim: int | None = None,
    shared_dim: int = 512,
    width: float = 1.0,
    channel_base: int = 32768,
    channel_max: int = 512,
    mapping_layers: int = 8,
    condition_form: ConditionForm = "disp",
    class_layers: int = 8,
    condition_norm: ConditionNorm = "joint",
    mixing: float = 0.9,
    mixing_per: MixingPer = "batch",
    truncation: float = 1.0,
    noise: Noise = "random",
    d_architecture: Architecture = "resnet",
    mbstd_group: int = 4,
    clamp: float | None = None,
) -> Makers:
    """The pair at one resolution; a map of R pixels has min(width * channel_base / R, channel_max) channels.

    width: FastGAN's 0.25, 0.5 and 1 (table 1). Where code bases differ: mapping_layers 8 (StyleGAN2, ADA's
    paper settings) or 2 (ADA's auto and cifar); condition_norm: z and embedding normalised as one vector
    ("joint", StyleGAN2 and DiffAugment's code, which DISP builds on) or each ("separate", ADA); condition_form: "disp",
    or ADA's "ada", whose G_emb is one linear map to shared_dim = w_dim and whose D maps the class by class_layers more
    and has no judgement without it; mixing_per: one
    crossover a batch (StyleGAN2, ADA) or an image (DiffAugment's code); d_architecture: "resnet", or "orig" of
    ADA's cifar; mbstd_group 4, ADA's cifar 32; clamp: of activations, None, or 256 where weights were trained
    with ADA's mixed precision. noise: outside training, "random" as in all of them when they score, "const" or
    "none". ADA's cifar: channel_base 32768, mapping_layers 2, d_architecture "orig", mbstd_group 32, mixing 0.
    Raises UserError for an impossible value.
    """
    sizes = {"z_dim": z_dim, "w_dim": w_dim, "shared_dim": shared_dim, "mapping_layers": mapping_layers}
    sizes |= {"class_layers": class_layers}
    sizes |= {"channel_base": channel_base, "channel_max": channel_max, "mbstd_group": mbstd_group}
    check_sizes(1, **sizes, condition_dim=1 if condition_dim is None else condition_dim)
    check_numbers(0, 1, mixing=mixing, truncation=truncation)
    check_numbers(0, 16, width=width)
    if clamp is not None and (isinstance(clamp, bool) or not isinstance(clamp, int | float) or not clamp > 0):
        raise UserError(f"clamp={clamp!r} must be a number above 0, or nothing")
    check_choice(condition_form, "condition_form", get_args(ConditionForm))
    check_choice(condition_norm, "condition_norm", get_args(ConditionNorm))
    check_choice(mixing_per, "mixing_per", get_args(MixingPer))
    check_choice(noise, "noise", get_args(Noise))
    check_choice(d_architecture, "d_architecture", get_args(Architecture))
    levels = [BOTTOM * 2**level for level in range(int(math.log2(resolution // BOTTOM)) + 1)]
    widths = [min(int(channel_base * width) // level, channel_max) for level in levels]
    if widths[-1] < 1:
        least = resolution / channel_base
        raise UserError(
            f"width={width!r} leaves no channel at {resolution} px; it must be at least {least:g}"
        )
    generator = partial(
        Generator,
        widths,
        z_dim=z_dim,
        w_dim=w_dim,
        condition_dim=condition_dim,
        shared_dim=shared_dim,
        mapping_layers=mapping_layers,
        condition_form=condition_form,
        condition_norm=condition_norm,
        mixing=mixing,
        mixing_per=mixing_per,
        truncation=truncation,
        noise=noise,
        clamp=clamp,
    )
    discriminator = partial(
        Discriminator,
        widths[::-1],
        condition_dim=condition_dim,
        condition_form=condition_form,
        class_layers=class_layers,
        architecture=d_architecture,
        mbstd_group=mbstd_group,
        clamp=clamp,
    )
    return generator, discriminator


# 32 px: the widths of DiffAugment's CIFAR networks (512 up to 8 px, then 256 and 128), which DISP uses.
stylegan2_32 = partial(_stylegan2, 32, channel_base=4096)
stylegan2_64 = partial(_stylegan2, 64)
stylegan2_128 = partial(_stylegan2, 128)
stylegan2_256 = partial(_stylegan2, 256)
stylegan2_512 = partial(_stylegan2, 512)
stylegan2_1024 = partial(_stylegan2, 1024)
