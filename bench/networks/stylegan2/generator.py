"""The generator of StyleGAN2 (Karras et al. 2020, figure 7b): a skip-connection synthesis network behind a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.networks import interface
from bench.networks.interface import Noise
from bench.networks.stylegan2.layers import (
    ACTIVATION_GAIN,
    EqualLinear,
    StyledConv,
    ToRGB,
    UpStyledConv,
    binomial,
    double,
)
from bench.networks.stylegan2.mapping import (
    BOTTOM,
    MAPPING_LR,
    ConditionEmbedding,
    ConditionForm,
    ConditionNorm,
    MixingPer,
    StyleGenerator,
)


class SynthesisBlock(nn.Module):
    """Doubles height and width with the first of two styled convolutions, and adds to the RGB image."""

    kernel_KK: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, clamp: float | None) -> None:
        super().__init__()
        self.conv0 = UpStyledConv(in_channels, out_channels, w_dim, resolution, clamp)
        self.conv1 = StyledConv(out_channels, out_channels, w_dim, resolution, clamp)
        self.to_rgb = ToRGB(out_channels, w_dim, clamp)
        self.register_buffer("kernel_KK", binomial(gain=4.0), persistent=False)

    def forward(
        self, x_NCHW: Tensor, rgb_NCHW: Tensor, three_w: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """A map, its image and the three layers' w -> the next map and its image."""
        h_NCHW = self.conv0(x_NCHW, three_w[0], noise)
        h_NCHW = self.conv1(h_NCHW, three_w[1], noise)
        return h_NCHW, double(rgb_NCHW, self.kernel_KK) + self.to_rgb(h_NCHW, three_w[2])


class Synthesis(interface.Synthesis):
    """w of every layer -> images. widths: channels at 4x4, 8x8, ... `layers` counts convolutions and the last RGB.

    noise: what is injected outside training; "const" is a fixed map of each layer. In training it is random.
    """

    def __init__(self, widths: Sequence[int], w_dim: int, noise: Noise, clamp: float | None) -> None:
        super().__init__()
        self.noise = noise
        self.constant_CHW = nn.Parameter(torch.randn(widths[0], BOTTOM, BOTTOM))
        self.conv = StyledConv(widths[0], widths[0], w_dim, BOTTOM, clamp)
        self.to_rgb = ToRGB(widths[0], w_dim, clamp)
        self.blocks = nn.ModuleList(
            SynthesisBlock(before, after, w_dim, BOTTOM * 2**level, clamp)
            for level, (before, after) in enumerate(pairwise(widths), start=1)
        )

    @property
    def layers(self) -> int:
        """Two at 4x4, and two for each doubling; blocks share the third of theirs with the next."""
        return 2 * (len(self.blocks) + 1)

    def forward(self, w_NLW: Tensor, noise: Noise | None = None) -> Tensor:
        """(N, layers, w_dim) -> images (N, 3, R, R); `noise` overrides the choice for this call."""
        noise = noise or ("random" if self.training else self.noise)
        w_LNW = w_NLW.unbind(1)
        h_NCHW = self.constant_CHW.expand(len(w_NLW), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        h_NCHW = self.conv(h_NCHW, w_LNW[0], noise)
        rgb_NCHW = self.to_rgb(h_NCHW, w_LNW[1])
        for level, block in enumerate(self.blocks, start=1):
            # A block's RGB layer shares its w with the next block's first convolution.
            three_w = w_LNW[2 * level - 1 : 2 * level + 2]
            h_NCHW, rgb_NCHW = block(h_NCHW, rgb_NCHW, three_w, noise)
        return rgb_NCHW


class Generator(StyleGenerator):
    """z and an optional condition -> images; see `StyleGenerator`. widths: channels at 4x4, 8x8, ..."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        z_dim: int,
        w_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        mapping_layers: int,
        condition_form: ConditionForm,
        condition_norm: ConditionNorm,
        mixing: float,
        mixing_per: MixingPer,
        truncation: float,
        noise: Noise,
        clamp: float | None,
    ) -> None:
        super().__init__()
        # Sizes and settings.
        self.z_dim, self.w_dim, self.condition_dim, self.shared_dim = z_dim, w_dim, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        self.condition_norm = condition_norm
        self.mixing, self.mixing_per, self.truncation = mixing, mixing_per, truncation

        # The mapping network, whose first layer also reads the condition's embedding, and the synthesis.
        fan_in = z_dim if condition_dim is None else z_dim + shared_dim
        layer = partial(EqualLinear, lr_mul=MAPPING_LR, gain=ACTIVATION_GAIN)
        self.mapping = nn.ModuleList(
            [layer(z_dim, w_dim, fan_in=fan_in), *(layer(w_dim, w_dim) for _ in range(mapping_layers - 1))]
        )
        self.register_buffer("w_average", torch.zeros(w_dim))
        self.synthesis = Synthesis(widths, w_dim, noise, clamp)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None
            if condition_dim is None
            else ConditionEmbedding(condition_dim, shared_dim, w_dim, fan_in, condition_form)
        )
