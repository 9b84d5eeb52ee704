"""FastGAN's discriminator: an encoder whose maps small decoders turn back into images (section 3.2, figure 4).

See recipes.py for what `paper` and `released` mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks import interface
from bench.networks.common.layers import linear, spectral
from bench.networks.fastgan.layers import (
    F2_SIZE,
    Crops,
    Decoder,
    ResidualDown,
    SkipExcitation,
    batch_norm,
    conv,
    leaky,
    plain_down,
)
from bench.networks.interface import (
    BatchStatistics,
    Decoding,
    HasBlocks,
    HasMaps,
    Penultimate,
    Reconstruction,
)

LARGEST = 256  # height and width of the first block's output; larger images are strided down to it
GATE_REACH = 3  # a gate is driven by the map three blocks before, at eight times the height and width


@dataclass(frozen=True)
class Maps:
    """What the decoders need of one forward pass."""

    f1_NCHW: Tensor  # 16x16
    f2_NCHW: Tensor  # 8x8, the last map
    small_NCHW: Tensor | None  # 8x8, the last map of the branch on small images, where there is one

    def first(self, count: int) -> Maps:
        """The maps of the first `count` images, for a pass in which generated images follow the real ones."""
        small_NCHW = None if self.small_NCHW is None else self.small_NCHW[:count]
        return Maps(self.f1_NCHW[:count], self.f2_NCHW[:count], small_NCHW)


class Discriminator(interface.Discriminator, HasBlocks, Penultimate, BatchStatistics, HasMaps, Decoding):
    """Images and an optional condition -> patch logits; decoders of its maps are submodules.

    small_resolution: height and width of the branch that judges small images, or None for no such branch.
    decoded_resolution: height and width of what decoders make, or None for no decoders.
    gates: blocks from the fourth on are gated by the map three blocks before.
    """

    # Batch norm mixes the images of a call: real and generated images need calls of their own.
    batch_statistics = True

    def __init__(
        self,
        resolution: int,
        *,
        ndf: int,
        condition_dim: int | None,
        small_resolution: int | None,
        gates: bool,
        decoded_resolution: int | None,
        decoder_width: int,
        crops: Crops,
    ) -> None:
        super().__init__()
        # Sizes: of images, of widths, of a condition.
        self.resolution, self.small_resolution = resolution, small_resolution
        self.decoded_resolution, self.crops = decoded_resolution, crops
        widths = [64 * ndf // size for size in _halved(min(resolution, LARGEST))]
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]

        # The trunk and its head; the branch on small images and its own.
        downs = [ResidualDown(a, b) for a, b in pairwise(widths)]
        self.blocks = nn.ModuleList([_entry(resolution, ndf), *downs])
        self.head = nn.Sequential(
            conv(widths[-1], 2 * widths[-1], 1),
            batch_norm(2 * widths[-1]),
            leaky(),
            conv(2 * widths[-1], 1, 4),
        )
        self.small_branch = None if small_resolution is None else _small_branch(small_resolution, ndf)
        self.small_head = None if small_resolution is None else conv(4 * ndf, 1, 4)

        # Optional parts draw their weights last, so that all others agree between the rows of an ablation.
        if gates:
            for before, after, down in zip(widths, widths[GATE_REACH:], downs[GATE_REACH - 1 :], strict=False):
                down.gate = SkipExcitation(before, after, nn.SiLU())
        self.decoders = nn.ModuleDict()
        if decoded_resolution is not None:
            sources = {"whole": widths[-1], "part": widths[-2]}
            if small_resolution is not None:
                sources["small"] = 4 * ndf
            for name, width in sources.items():
                self.decoders[name] = Decoder(width, width=decoder_width, resolution=decoded_resolution)
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, self.feature_dim, spectral, bias=False)
        )

    @property
    def parts(self) -> int:
        """How many crops `reconstruct` knows: `part` is one of 0 ... parts - 1."""
        return self.crops.count

    def _trunk(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Images -> f1 (N, C, 16, 16) and f2 (N, feature_dim, 8, 8)."""
        if images_NCHW.shape[-2:] != (self.resolution, self.resolution):
            raise ValueError(f"images are {tuple(images_NCHW.shape)}; this discriminator takes {self.resolution} px")
        first, *downs = self.blocks
        maps = [first(images_NCHW)]
        for down in downs:
            maps.append(down(maps[-1], maps[-GATE_REACH] if len(maps) >= GATE_REACH else None))
        return maps[-2], maps[-1]

    def _small_map(self, images_NCHW: Tensor, small_NCHW: Tensor | None) -> Tensor | None:
        if self.small_branch is None:
            if small_NCHW is not None:
                raise ValueError("this discriminator has no branch for small images")
            return None
        if small_NCHW is None:
            small_NCHW = F.interpolate(images_NCHW, size=self.small_resolution)
        return self.small_branch(small_NCHW)

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> f2, (N, feature_dim, 8, 8)."""
        return self._trunk(images_NCHW)[1]

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, R, R) -> (N, feature_dim), f2 averaged over space."""
        return self.feature_maps(images_NCHW).mean(dim=(2, 3))

    def _patch_logits(self, maps: Maps) -> Tensor:
        logits_NL = self.head(maps.f2_NCHW).flatten(1)
        if self.small_head is None or maps.small_NCHW is None:
            return logits_NL
        return torch.cat([logits_NL, self.small_head(maps.small_NCHW).flatten(1)], dim=1)

    def unconditional_logits(self, images_NCHW: Tensor) -> Tensor:
        """The mean of each image's patch logits without a condition: (N,)."""
        maps = Maps(*self._trunk(images_NCHW), self._small_map(images_NCHW, None))
        return self._patch_logits(maps).mean(dim=1)

    def forward_with_maps(
        self, images_NCHW: Tensor, condition_NK: Tensor | None = None, *, small_NCHW: Tensor | None = None
    ) -> tuple[Tensor, Maps]:
        """The logits of `forward` and the maps that `reconstruct` needs, from one pass."""
        if condition_NK is None and self.condition_embedding is not None:
            raise ValueError("this discriminator needs a condition")
        if condition_NK is not None and self.condition_embedding is None:
            raise ValueError("this discriminator has no condition: build it with condition_dim")
        maps = Maps(*self._trunk(images_NCHW), self._small_map(images_NCHW, small_NCHW))
        logits_NL = self._patch_logits(maps)
        if self.condition_embedding is not None:
            features_NF = maps.f2_NCHW.mean(dim=(2, 3))
            logits_NL = logits_NL + (self.condition_embedding(condition_NK) * features_NF).sum(1, keepdim=True)
        return logits_NL, maps

    def forward(
        self, images_NCHW: Tensor, condition_NK: Tensor | None = None, *, small_NCHW: Tensor | None = None
    ) -> Tensor:
        """Images (N, 3, R, R) -> patch logits (N, L): 25 of the whole image, then 25 of the small branch if any.

        small_NCHW: the same images at `small_resolution`, the generator's second output; None takes every
        second, fourth, ... pixel of the images. A condition adds <D_emb(y), D_f(x)> to each logit.
        Raises ValueError for images of another size and where a condition is missing or superfluous.
        """
        return self.forward_with_maps(images_NCHW, condition_NK, small_NCHW=small_NCHW)[0]

    def reconstruct(self, maps: Maps, images_NCHW: Tensor, part: int) -> list[Reconstruction]:
        """Decodings of a pass' maps beside their targets (equation 2): the whole image, a part, the small image.

        images: those that gave the maps. A target is the image, or the crop number `part` of it, nearest-resized
        to `decoded_resolution`. The part comes from a crop of f1. Raises ValueError without decoders or for
        another part than 0 ... parts - 1.
        """
        if self.decoded_resolution is None:
            raise ValueError("this discriminator has no decoders: build it with decoders=True")
        whole_NCHW = F.interpolate(images_NCHW, size=self.decoded_resolution)
        part_NCHW = F.interpolate(self.crops.cut(images_NCHW, part), size=self.decoded_resolution)
        pairs = [
            Reconstruction(self.decoders["whole"](maps.f2_NCHW), whole_NCHW),
            Reconstruction(self.decoders["part"](self.crops.cut(maps.f1_NCHW, part)), part_NCHW),
        ]
        if maps.small_NCHW is not None:
            pairs.append(Reconstruction(self.decoders["small"](maps.small_NCHW), whole_NCHW))
        return pairs

    def decode(self, images_NCHW: Tensor, part: int) -> list[Reconstruction]:
        """`reconstruct` after a pass of its own over images (N, 3, R, R)."""
        maps = Maps(*self._trunk(images_NCHW), self._small_map(images_NCHW, None))
        return self.reconstruct(maps, images_NCHW, part)


def _halved(size: int) -> list[int]:
    """size, size / 2, ..., 8."""
    return [size >> k for k in range((size // F2_SIZE).bit_length())]


def _entry(resolution: int, ndf: int) -> nn.Sequential:
    """Images -> the first map, of 256x256 or of the image's size where that is smaller."""
    width = 64 * ndf // min(resolution, LARGEST)
    if resolution <= LARGEST:
        return nn.Sequential(conv(3, width, 3, padding=1), leaky())
    if resolution == 2 * LARGEST:
        return nn.Sequential(conv(3, width, 4, stride=2, padding=1), leaky())
    return nn.Sequential(conv(3, width // 2, 4, stride=2, padding=1), leaky(), *plain_down(width // 2, width))


def _small_branch(resolution: int, ndf: int) -> nn.Sequential:
    """Small images -> (N, 4 * ndf, 8, 8), at half the trunk's width."""
    widths = [32 * ndf // size for size in _halved(resolution // 2)]
    layers = [conv(3, widths[0], 4, stride=2, padding=1), leaky()]
    for before, after in pairwise(widths):
        layers += plain_down(before, after)
    return nn.Sequential(*layers)
