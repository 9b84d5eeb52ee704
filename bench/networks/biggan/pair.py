"""The generator and the discriminator of BigGAN, of any width and size; recipes.py has the settings.

z is split into chunks, one for the first map and one for each block (hierarchical z, Brock et al. 2019, figure 15a).
What the norms of G's blocks read:

- of a generator with conditions, the condition's embedding and the block's chunk of z. A class is a one-hot condition.
  Without a shared embedding every norm has its own table of gains and biases;
- of one without, z alone: the block's chunk, or all of z where it is not split (self-modulation, Chen et al. 2019).

G's last norm is never conditional. D sums the last map over space and projects (DISP, equation 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.networks.biggan.layers import (
    ConditionalBatchNorm,
    DownBlock,
    Maker,
    NormMaker,
    SelfModulatedBatchNorm,
    TableBatchNorm,
    UpBlock,
)
from bench.networks.common.conditioning import ConditionalGenerator, ProjectionDiscriminator
from bench.networks.common.layers import BatchNorm

BOTTOM = 4  # height and width of the generator's first map
Modulation = Literal["self", "none"]


class Generator(ConditionalGenerator):
    """z and an optional condition -> images in [-1, 1].

    widths: channels of the first map and of each block's output; every block doubles a 4x4 map. hierarchical: z is
    split evenly, and z_dim is rounded down to a multiple of blocks + 1. attention: the size of the map that it
    follows. shared_dim None: the embedding is a row of 2 * channels entries for each norm.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        z_dim: int,
        hierarchical: bool,
        condition_dim: int | None,
        shared_dim: int | None,
        modulation: Modulation,
        modulation_hidden: int,
        attention: int | None,
        make: Maker,
    ) -> None:
        super().__init__()
        # Sizes: of z's chunks, of a condition, of the image.
        chunk = z_dim // len(widths) if hierarchical else z_dim
        self.z_dim = chunk * len(widths) if hierarchical else z_dim
        self.hierarchical, self.condition_dim, self.shared_dim = hierarchical, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        self.reads_z = modulation == "self" if condition_dim is None else hierarchical

        # Layers, from the first map to the image.
        self.linear = make.linear(chunk, widths[0] * BOTTOM * BOTTOM)
        norm, rows = _norms(condition_dim, shared_dim, chunk if self.reads_z else 0, modulation_hidden, make)
        self.blocks = nn.ModuleList()
        for before, after in pairwise(widths):
            size = BOTTOM * 2 ** (len(self.blocks) + 1)
            self.blocks.append(UpBlock(before, after, norm, make, attention=size == attention))
        self.norm = BatchNorm(widths[-1])
        self.conv = make.conv(widths[-1], 3, 3)

        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = None if condition_dim is None else _embedding(condition_dim, rows, make.init)

    def _images(self, z_NZ: Tensor, embeddings: Sequence[Tensor | None]) -> Tensor:
        if self.hierarchical:
            first_NZ, *rest = z_NZ.chunk(len(self.blocks) + 1, dim=1)
        else:
            first_NZ, rest = z_NZ, [z_NZ] * len(self.blocks)
        h_NCHW = self.linear(first_NZ).unflatten(1, (-1, BOTTOM, BOTTOM))
        for block, embedding_NE, chunk_NZ in zip(self.blocks, embeddings, rest, strict=True):
            h_NCHW = block(h_NCHW, self._block_condition(embedding_NE, chunk_NZ))
        return torch.tanh(self.conv(F.relu(self.norm(h_NCHW))))

    def _block_condition(self, embedding_NE: Tensor | None, chunk_NZ: Tensor) -> Tensor | None:
        if not self.reads_z:
            return embedding_NE
        return chunk_NZ if embedding_NE is None else torch.cat([embedding_NE, chunk_NZ], dim=1)


def _norms(
    condition_dim: int | None, shared_dim: int | None, chunk: int, hidden: int, make: Maker
) -> tuple[NormMaker, list[int]]:
    """A maker of the blocks' norms, and the sizes of the parts that the embedding has once they are made.

    chunk: how many entries of z each norm reads, 0 for none.
    """
    if condition_dim is None:
        if not chunk:
            return BatchNorm, []
        return partial(SelfModulatedBatchNorm, z_dim=chunk, hidden=hidden, make=make), []
    if shared_dim is not None:
        return partial(ConditionalBatchNorm, condition_dim=shared_dim + chunk, make=make), [shared_dim]
    parts: list[int] = []

    def table(channels: int) -> nn.Module:
        offset = sum(parts)
        parts.extend([channels, channels])
        return TableBatchNorm(channels, offset)

    return table, parts


def _embedding(condition_dim: int, parts: Sequence[int], init: Callable[[Tensor], Tensor]) -> nn.Linear:
    """A bias-free linear map whose output has the given parts, each with its own draw; never spectrally normalised."""
    layer = nn.Linear(condition_dim, sum(parts), bias=False)
    with torch.no_grad():
        for weight in layer.weight.split(list(parts)):
            init(weight)
    return layer


class Discriminator(ProjectionDiscriminator):
    """Images and an optional condition -> logits. Every layer is spectrally normalised.

    widths: channels after each block; the first `down` blocks halve height and width. attention: the size of the
    map that it follows; it belongs to the block before.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        resolution: int,
        down: int,
        wide: bool,
        condition_dim: int | None,
        attention: int | None,
        make: Maker,
    ) -> None:
        super().__init__()
        self.condition_dim, self.feature_dim = condition_dim, widths[-1]
        self.blocks = nn.ModuleList()
        for position, (before, after) in enumerate(pairwise([3, *widths])):
            size = resolution // 2 ** min(position + 1, down)
            block = DownBlock(
                before,
                after,
                make,
                first=position == 0,
                down=position < down,
                wide=wide,
                attention=position < down and size == attention,
            )
            self.blocks.append(block)
        self.linear = make.linear(self.feature_dim, 1)
        self.condition_embedding = (
            None if condition_dim is None else make.linear(condition_dim, self.feature_dim, bias=False)
        )

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last block's map after ReLU, (N, feature_dim, h, w)."""
        h_NCHW = images_NCHW
        for block in self.blocks:
            h_NCHW = block(h_NCHW)
        return F.relu(h_NCHW)

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, H, W) -> (N, feature_dim), the feature map summed over space."""
        return self.feature_maps(images_NCHW).sum(dim=(2, 3))
