"""The discriminator of StyleGAN2 (Karras et al. 2020, figure 7d): residual blocks, and what it makes of a condition.

As in DISP, appendix A, D projects onto its penultimate features; `condition_form: ada` is ADA's form instead. Declared,
because DISP is silent: D_emb has the gain 1/sqrt(feature_dim) that the linear head has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

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
from bench.networks.stylegan2.mapping import BOTTOM, MAPPING_LR, ConditionForm

Architecture = Literal["resnet", "orig"]


class FromRGB(EqualConv):
    """Images -> a map: 1x1 convolution, leaky ReLU."""

    def __init__(self, channels: int, clamp: float | None) -> None:
        super().__init__(3, channels, 1, gain=ACTIVATION_GAIN)
        self.clamp = clamp

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C, H, W)."""
        return activate(super().forward(images_NCHW.contiguous(memory_format=torch.channels_last)), self.clamp)


class DownBlock(nn.Module):
    """Halves height and width: conv 3x3, leaky ReLU, filter, conv 3x3 at stride 2, leaky ReLU."""

    kernel_KK: Tensor

    def __init__(self, in_channels: int, out_channels: int, clamp: float | None, output_gain: float = 1.0) -> None:
        super().__init__()
        self.conv0 = EqualConv(in_channels, in_channels, 3, gain=ACTIVATION_GAIN)
        self.conv1 = EqualConv(in_channels, out_channels, 3, gain=ACTIVATION_GAIN * output_gain, stride=2, padding=0)
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

        # Layers, from the image to the last map.
        block = ResidualBlock if architecture == "resnet" else DownBlock
        blocks: list[nn.Module] = [block(before, after, clamp) for before, after in pairwise(widths)]
        self.blocks = nn.ModuleList([nn.Sequential(FromRGB(widths[0], clamp), blocks[0]), *blocks[1:]])
        self.conv = EqualConv(self.feature_dim + 1, self.feature_dim, 3, gain=ACTIVATION_GAIN)
        self.fc = EqualLinear(self.feature_dim * BOTTOM**2, self.feature_dim, gain=ACTIVATION_GAIN)

        # The head, and the embedding of the condition.
        self.judges_by_class_alone = condition_dim is not None and condition_form == "ada"
        self.linear = EqualLinear(self.feature_dim, self.feature_dim if self.judges_by_class_alone else 1)
        self.condition_embedding = None
        if condition_dim is not None:
            self.condition_embedding = (
                ClassMapping(condition_dim, self.feature_dim, class_layers)
                if self.judges_by_class_alone
                # The gain lets both logit terms start at one size: the linear head's scale has the same 1/sqrt(F).
                else EqualLinear(condition_dim, self.feature_dim, bias=False, gain=1 / math.sqrt(self.feature_dim))
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
