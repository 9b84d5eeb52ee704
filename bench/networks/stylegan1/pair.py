"""StyleGAN (Karras et al. 2019) at 32, 128 and 256 pixels, grown progressively, with optional conditions.

The details are those of the public PyTorch port rosinality/style-based-gan-pytorch, which FreezeD and LT-GAN use;
every layer computes what that code computes, so that its checkpoints can be imported. G / D without conditions, in
millions: 128 px 25.84 / 25.15; 256 px 26.09 / 25.38 (counted from the port's layers; nobody printed them).

Growth. `grow(level, alpha)` of both networks sets the resolution to r = 4 * 2^level, its layers faded in by alpha
(Karras et al. 2018, figure 2); a new network is fully grown. Images keep the full size R outside: G repeats each
pixel of its small image R/r times a side, D first takes the mean over R/r x R/r pixels. One undoes the other, so
losses and gradients are those of training at r pixels, augmentations apart. Real images are shrunk by a box filter.
Only a penalty on the gradient with respect to D's input changes: the gradient of one small pixel is spread over its
(R/r)^2 pixels, which divides its square by as much. `Discriminator.gradient_factor` is that number.

Declared: the port is unconditional; conditions enter as in StyleGAN2 (stylegan2/mapping.py). `w_average` here is Karras
et al.'s running mean, where the port averages 10,240 w after training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks import interface
from bench.networks.interface import Noise
from bench.networks.stylegan1.layers import (
    Constant,
    DownBlock,
    FromRGB,
    GrowthState,
    HeConv,
    HeLinear,
    SynthesisBlock,
    UpConv,
)
from bench.networks.stylegan2.last_map import StyleDiscriminator, append_minibatch_std
from bench.networks.stylegan2.layers import ACTIVATION_GAIN, SLOPE, EqualLinear, activate
from bench.networks.stylegan2.mapping import BOTTOM, MAPPING_LR, ConditionEmbedding, StyleGenerator

QUARTERED_FROM = 128  # see UpConv
WHOLE_BATCH = 2**31  # a group never exceeds its batch


class Synthesis(GrowthState, interface.Synthesis):
    """w of every resolution -> images. widths: channels at 4x4, 8x8, ...

    noise: what is injected outside training; "const" is a fixed map of each resolution. In training it is random.
    """

    def __init__(self, widths: Sequence[int], w_dim: int, noise: Noise) -> None:
        super().__init__()
        self.noise = noise
        self.top = len(widths) - 1
        self.grow(self.top, 1.0)
        blocks = [SynthesisBlock(Constant(widths[0], BOTTOM), widths[0], w_dim, BOTTOM)]
        for level, (before, after) in enumerate(pairwise(widths), start=1):
            resolution = BOTTOM * 2**level
            first = UpConv(before, after, 0.25 if resolution >= QUARTERED_FROM else 1.0)
            blocks.append(SynthesisBlock(first, after, w_dim, resolution))
        self.blocks = nn.ModuleList(blocks)
        self.to_rgb = nn.ModuleList(HeConv(width, 3, 1) for width in widths)

    @property
    def layers(self) -> int:
        """How many w an image takes at this level: one a resolution."""
        return self.level + 1

    def forward(self, w_NLW: Tensor, noise: Noise | None = None) -> Tensor:
        """(N, layers, w_dim) -> images (N, 3, R, R); `noise` overrides the choice for this call."""
        noise = noise or ("random" if self.training else self.noise)
        w_LNW = w_NLW.unbind(1)
        h_NCHW = before_NCHW = w_LNW[0]  # the constant takes its number of rows from it
        for block, w_NW in zip(self.blocks[: self.level + 1], w_LNW, strict=True):
            before_NCHW, h_NCHW = h_NCHW, block(h_NCHW, w_NW, noise)
        rgb_NCHW = self.to_rgb[self.level](h_NCHW)
        if self.alpha < 1 and self.level > 0:
            old_NCHW = F.interpolate(self.to_rgb[self.level - 1](before_NCHW), scale_factor=2.0)
            rgb_NCHW = torch.lerp(old_NCHW, rgb_NCHW, self.alpha)
        repeats = 2 ** (self.top - self.level)
        return rgb_NCHW if repeats == 1 else F.interpolate(rgb_NCHW, scale_factor=float(repeats))


class Generator(StyleGenerator):
    """z and an optional condition -> images, not bounded by an activation.

    Mapping network, mixing at one crossover a batch, w_average and truncation are StyleGAN2's, but for the gain of
    the mapping network's biases.
    """

    synthesis: Synthesis

    def __init__(
        self,
        widths: Sequence[int],
        *,
        z_dim: int,
        w_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        mapping_layers: int,
        mixing: float,
        truncation: float,
        noise: Noise,
    ) -> None:
        super().__init__()
        # Sizes and settings.
        self.z_dim, self.w_dim, self.condition_dim, self.shared_dim = z_dim, w_dim, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        self.condition_norm, self.mixing_per = "joint", "batch"
        self.mixing, self.truncation = mixing, truncation

        # The mapping network, whose first layer also reads the condition's embedding, and the synthesis.
        fan_in = z_dim if condition_dim is None else z_dim + shared_dim
        layer = partial(HeLinear, lr_mul=MAPPING_LR)
        self.mapping = nn.ModuleList(
            [layer(z_dim, w_dim, fan_in=fan_in), *(layer(w_dim, w_dim) for _ in range(mapping_layers - 1))]
        )
        self.register_buffer("w_average", torch.zeros(w_dim))
        self.synthesis = Synthesis(widths, w_dim, noise)
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else ConditionEmbedding(condition_dim, shared_dim, w_dim, fan_in=fan_in)
        )

    @property
    def level(self) -> int:
        """The images hold 4 * 2^level pixels a side."""
        return self.synthesis.level

    @property
    def alpha(self) -> float:
        """How far the last level is faded in."""
        return self.synthesis.alpha

    @property
    def top(self) -> int:
        """The level of the full resolution."""
        return self.synthesis.top

    def grow(self, level: int, alpha: float) -> None:
        """Set how far the network has grown. Raises ValueError for an impossible level or alpha."""
        self.synthesis.grow(level, alpha)


class Discriminator(GrowthState, StyleDiscriminator):
    """Images and an optional condition -> logits.

    widths: channels at full resolution, at half of it, ..., at 4x4. blocks[0] holds the layer from RGB of the full
    resolution; those of `from_rgb` (4x4, 8x8, ...) are used while growing only, so freezing blocks[:k] of a grown
    network is FreezeD's freezing, which also freezes all layers from RGB. FreezeD trains the last two blocks and
    what follows them: k is 3 at 128 pixels and 4 at 256.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        condition_dim: int | None,
        from_rgb_activation: bool,
        mbstd_group: int | None,
    ) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.mbstd_group = mbstd_group or WHOLE_BATCH
        self.top = len(widths) - 1
        self.grow(self.top, 1.0)

        # Layers, from the image to the logit.
        slope = SLOPE if from_rgb_activation else 1.0
        blocks: list[nn.Module] = [DownBlock(before, after) for before, after in pairwise(widths)]
        self.blocks = nn.ModuleList([nn.Sequential(FromRGB(widths[0], slope), blocks[0]), *blocks[1:]])
        self.from_rgb = nn.ModuleList(FromRGB(width, slope) for width in widths[:0:-1])
        self.conv = HeConv(self.feature_dim + 1, self.feature_dim, 3)
        self.fc = HeLinear(self.feature_dim * BOTTOM**2, self.feature_dim)
        self.linear = HeLinear(self.feature_dim, 1)
        # The gain lets both logit terms start at one size: the linear head's scale is the same sqrt(2 / F).
        self.condition_embedding = (
            None
            if condition_dim is None
            else EqualLinear(
                condition_dim,
                self.feature_dim,
                bias=False,
                gain=ACTIVATION_GAIN / math.sqrt(self.feature_dim),
            )
        )

    @property
    def gradient_factor(self) -> int:
        """(R / r)^2: |gradient|^2 with respect to the small image over that with respect to the R-pixel image."""
        return 4 ** (self.top - self.level)

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> the last map, (N, feature_dim, 4, 4), after the minibatch deviation."""
        ungrown = self.top - self.level
        if ungrown:
            images_NCHW = F.avg_pool2d(images_NCHW, 2**ungrown)
        # blocks[0] brings its own layer from RGB; at 4x4 no block is left, and nothing to fade in.
        h_NCHW = self.from_rgb[self.level](images_NCHW) if ungrown else images_NCHW
        for number, block in enumerate(list(self.blocks)[ungrown:]):
            h_NCHW = block(h_NCHW)
            if number == 0 and self.alpha < 1:
                old_NCHW = self.from_rgb[self.level - 1](F.avg_pool2d(images_NCHW, 2))
                h_NCHW = torch.lerp(old_NCHW, h_NCHW, self.alpha)
        return activate(self.conv(append_minibatch_std(h_NCHW, self.mbstd_group)))
