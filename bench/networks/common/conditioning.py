"""What every pair with conditions shares: G_emb and per-block embeddings in G, the projection in D.

Conditions enter as in DISP, section 4. G has a linear embedding, whose rows the blocks' norms read. D has another one,
and adds its inner product with the features (equation 3). Subclasses build the layers and draw `condition_embedding`
last: all other weights then agree between conditions of different size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from bench.networks.interface import Discriminator, Generator, HasBlocks, Penultimate


class ConditionalGenerator(Generator, HasBlocks):
    """A generator of blocks. A subclass sets the attributes and says how images are made."""

    def embed(self, condition_NK: Tensor) -> Tensor:
        """G_emb: (N, condition_dim) -> (N, shared_dim). Raises ValueError where there is no condition."""
        if self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return self.condition_embedding(condition_NK)

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, shared_dim) -> images (N, 3, resolution, resolution).

        An embedding of shape (N, blocks, shared_dim) gives each block its own, as DISP's inversion does
        (IvOM, appendix C). Raises ValueError where a condition is missing or superfluous.
        """
        if (embedding_NE is None) != (self.condition_embedding is None):
            raise ValueError(f"this generator {_need(embedding_NE)}")
        return self._images(z_NZ, self._for_each_block(embedding_NE))

    def _for_each_block(self, embedding: Tensor | None) -> Sequence[Tensor | None]:
        if embedding is not None and embedding.ndim == 3:
            return embedding.unbind(1)
        return [embedding] * len(self.blocks)

    def _images(self, z_NZ: Tensor, embeddings: Sequence[Tensor | None]) -> Tensor:
        raise NotImplementedError


class ProjectionDiscriminator(Discriminator, HasBlocks, Penultimate):
    """A discriminator of blocks. A subclass sets the attributes and says what features are."""

    linear: nn.Module

    def feature_maps(self, images_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last block's map, (N, C, h, w), as the features read it."""
        raise NotImplementedError

    def features(self, images_NCHW: Tensor) -> Tensor:
        """D_f: images (N, 3, H, W) -> (N, feature_dim)."""
        raise NotImplementedError

    def unconditional_logits(self, images_NCHW: Tensor) -> Tensor:
        """D_l(D_f(x)), the linear head alone: (N,). The score of the overfitting curves (DISP, figure 1)."""
        return self.linear(self.features(images_NCHW)).squeeze(1)

    def forward(self, images_NCHW: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """D(x, y) = D_l(D_f(x)) + D_emb(y) . D_f(x), logits (N,) (DISP, equation 3).

        Raises ValueError where a condition is missing or superfluous.
        """
        h_NF = self.features(images_NCHW)
        logits_N = self.linear(h_NF).squeeze(1)
        if condition_NK is None and self.condition_embedding is None:
            return logits_N
        if condition_NK is None or self.condition_embedding is None:
            raise ValueError(f"this discriminator {_need(condition_NK)}")
        return logits_N + (self.condition_embedding(condition_NK) * h_NF).sum(dim=1)


def _need(condition_NK: Tensor | None) -> str:
    return "needs a condition" if condition_NK is None else "has no condition: build it with condition_dim"
