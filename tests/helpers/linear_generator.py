"""A generator whose images are linear in what it is given, so that fits and paths have closed forms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.networks.common import noise
from bench.networks.interface import Generator


class LinearGenerator(Generator):
    """z, and embeddings of each block, -> a linear image (N, 3, side, side), plus noise of its own of a size."""

    condition_embedding = None

    def __init__(self, z_dim: int, side: int = 4, *, blocks: Sequence[int] = (), noisy: float = 0.0) -> None:
        super().__init__()
        self.z_dim, self.resolution, self.noisy = z_dim, side, noisy
        self.condition_dim = None
        stream = torch.Generator().manual_seed(5)
        sizes = [z_dim, *blocks]
        self.maps = nn.ParameterList(torch.randn(size, 3 * side * side, generator=stream) / 8 for size in sizes)

    def synthesize(self, z_NZ: Tensor, embedding: Tensor | None = None) -> Tensor:
        """embedding: (N, blocks, E)."""
        parts = [z_NZ] if embedding is None else [z_NZ, *embedding.unbind(1)]
        flat = sum(part @ matrix for part, matrix in zip(parts, self.maps, strict=True))
        images_NCHW = flat.unflatten(1, (3, self.resolution, self.resolution))
        if self.noisy:
            images_NCHW = images_NCHW + self.noisy * noise.normal(images_NCHW.shape, like=images_NCHW)
        return images_NCHW

    def matrix(self) -> Tensor:
        """All maps, one under the other: (numbers that an image is given, its entries)."""
        return torch.cat([matrix.detach() for matrix in self.maps])
