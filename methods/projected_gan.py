"""Projected GAN: D judges features of a frozen EfficientNet-Lite0, mixed at random (Sauer et al. 2021, section 3).

Four maps of the frozen network, at a quarter to a 32nd of its input's side, are mixed across channels, by a fixed
random 1x1 convolution each, and across scales, from the coarsest to the finest:

    c_i = conv_i(m_i);    s_4 = out_4(up(c_4)),    s_i = out_i(up(s_{i+1} + c_i))

with `up` to twice the side (bilinear, corners aligned) and fixed random 1x1 convolutions again. Four small
discriminators judge s_1 ... s_4; all their logits are D's logits (N, L). Facts are those of the authors' code,
projected-gan at 4924c66, whose convolutions across scales are 1x1 where the paper's figure 3 has 3x3.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError
from bench.features.effnet import Stages, stages
from bench.networks.common.batch_norm import WholeBatchNorm2d
from bench.networks.common.layers import spectral
from bench.networks.interface import Discriminator
from bench.train import Context, Method

SIDE = 32  # the frozen network's last map has a 32nd of its input's side
KERNEL = 4  # of the last convolution of a small discriminator, which reads a map of that size or more
# Channels of a small discriminator's maps, in units of `width`; the first is that of its input
CHANNELS = ((1, 1, 2, 4, 8), (1, 2, 4, 8), (2, 4, 8), (4, 8))
EMBEDDING, CLASS_MAP = 128, 64  # numbers of a condition's embedding, channels that it weighs


class ProjectedGan(Method):
    """D is replaced; G, the loss and the optimisers are the table's.

    Published: hinge loss without R1, Adam with betas 0 and 0.99, batch 64, both rates 2e-4 for FastGAN's generator
    (0.002 for StyleGAN2's), and DiffAugment of all three groups: `diffaugment(consistency=0) + projected-gan`.
    size: images of a smaller side are enlarged to it (bilinear, 224); it is a multiple of 32 and 128 at least.
    width: channels of the finest mixed map (64), to which all others are in proportion.
    separable: the small discriminators' convolutions by depth and point, as beside StyleGAN2's generator.
    Of a generator of two scales D judges the large one, as the authors' FastGAN has no other.
    A condition weighs 64 last maps of each small discriminator through its embedding: a class's in the paper.

    The frozen network is the one of the extractor `effnet_lite0`: a score on its features favours this method. Judge it
    by another network's (`vgg16`). Whether its packaged weights are timm's, which the authors use, is not verified.
    """

    in_graphs = True
    splits = True
    papers = (("Sauer et al.", 2021, "Projected GANs Converge Faster", "arXiv:2111.01007"),)
    trains_on = ("effnet_lite0",)

    def __init__(self, *, size: int = 224, width: int = 64, separable: bool = False) -> None:
        if size < KERNEL * SIDE or size % SIDE:
            raise UserError(
                f"method 'projected-gan': size is {size}, must be a multiple of {SIDE} from {KERNEL * SIDE}"
            )
        if width < 2:
            raise UserError(f"method 'projected-gan': width is {width}, must be 2 or more")
        self.size, self.width, self.separable = size, width, separable

    def discriminator(self, ctx: Context, discriminator: nn.Module) -> nn.Module:
        assert ctx.generator is not None and isinstance(discriminator, Discriminator)
        generator, condition_dim = ctx.generator, discriminator.condition_dim
        if generator.resolution >= self.size and generator.resolution % SIDE:
            raise UserError(
                f"method 'projected-gan': images of {generator.resolution} px are judged as they are, and no multiple "
                f"of {SIDE}; set size to one above"
            )
        with ctx.initialised("projected-gan"):
            return ProjectedDiscriminator(stages(), self.size, self.width, condition_dim, self.separable)


class ProjectedDiscriminator(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] and an optional condition (N, K) -> logits (N, L)."""

    batch_statistics = True  # the small discriminators have batch norms

    def __init__(self, frozen: Stages, size: int, width: int, condition_dim: int | None, separable: bool) -> None:
        super().__init__()
        self.size, self.condition_dim = size, condition_dim
        self.frozen = frozen
        self.mixing = RandomMixing(frozen.channels, width).requires_grad_(False)
        self.judges = nn.ModuleList(
            SmallDiscriminator([width * factor for factor in factors], condition_dim, separable) for factors in CHANNELS
        )

    def forward(
        self, images_NCHW: Tensor, condition_NK: Tensor | None = None, *, small_NCHW: Tensor | None = None
    ) -> Tensor:
        """The logits of all four; `small_NCHW` is not judged. ValueError for a condition too many or too few."""
        if (condition_NK is None) != (self.condition_dim is None):
            raise ValueError(f"this discriminator has {self.condition_dim or 'no'} numbers of a condition")
        if images_NCHW.shape[-1] < self.size:
            images_NCHW = functional.interpolate(images_NCHW, self.size, mode="bilinear", align_corners=False)
        maps = self.mixing(self.frozen(images_NCHW))
        return torch.cat([judge(map_NCHW, condition_NK) for judge, map_NCHW in zip(self.judges, maps, strict=True)], 1)


class RandomMixing(nn.Module):
    """Four maps -> four of width, width, 2 width and 4 width channels and twice the sides, by fixed random weights."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        across = [width * 2**place for place in range(len(channels))]
        self.channels = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in zip(channels, across, strict=True)
        )
        self.scales = nn.ModuleList(nn.Conv2d(after, max(after // 2, width), 1) for after in across)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Fine maps first, as they came."""
        mixed: list[Tensor] = []
        for map_NCHW, channel, scale in reversed(list(zip(maps, self.channels, self.scales, strict=True))):
            h_NCHW = channel(map_NCHW)
            if mixed:
                h_NCHW = mixed[-1] + h_NCHW
            h_NCHW = functional.interpolate(h_NCHW, scale_factor=2, mode="bilinear", align_corners=True)
            mixed.append(scale(h_NCHW))
        return mixed[::-1]


class SmallDiscriminator(nn.Module):
    """A map (N, C, H, W) and an optional condition -> logits (N, L): blocks that halve it, then a 4x4 convolution.

    Every convolution is spectrally normalised.
    """

    def __init__(self, channels: list[int], condition_dim: int | None, separable: bool) -> None:
        super().__init__()
        block = separable_block if separable else plain_block
        self.blocks = nn.Sequential(*(block(before, after) for before, after in pairwise(channels)))
        out = 1 if condition_dim is None else CLASS_MAP
        self.last = spectral(nn.Conv2d(channels[-1], out, KERNEL, bias=False))
        self.embedding = None
        if condition_dim is not None:
            embed = nn.Linear(condition_dim, EMBEDDING, bias=False)
            self.embedding = nn.Sequential(embed, nn.Linear(EMBEDDING, CLASS_MAP), nn.LeakyReLU(0.2))

    def forward(self, map_NCHW: Tensor, condition_NK: Tensor | None) -> Tensor:
        """A logit for each position of the last convolution."""
        logits_NCHW: Tensor = self.last(self.blocks(map_NCHW))
        if self.embedding is not None:
            weight_NC = self.embedding(condition_NK) / CLASS_MAP**0.5
            logits_NCHW = (logits_NCHW * weight_NC[:, :, None, None]).sum(dim=1, keepdim=True)
        return logits_NCHW.flatten(1)


def plain_block(before: int, after: int) -> nn.Sequential:
    """Convolution 4x4 of stride 2, batch norm, leaky ReLU of 0.2."""
    conv = spectral(nn.Conv2d(before, after, 4, stride=2, padding=1))
    return nn.Sequential(conv, WholeBatchNorm2d(after), nn.LeakyReLU(0.2))


def separable_block(before: int, after: int) -> nn.Sequential:
    """3x3 convolution of each channel and a 1x1 one, without biases, batch norm, leaky ReLU of 0.2, mean of 2x2."""
    depth = spectral(nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False))
    point = spectral(nn.Conv2d(before, after, 1, bias=False))
    return nn.Sequential(depth, point, WholeBatchNorm2d(after), nn.LeakyReLU(0.2), nn.AvgPool2d(2))
