"""Vision transformers (Dosovitskiy et al. 2021, arXiv 2010.11929) read at their class token: DINOv2's and CLIP's.

Shape letters: docs/shape-letters.md. Tokens (L) are the class token, then the patches row by row; D is the width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class TransformerSettings:
    """The size of a vision transformer, and in what its trainers differ from each other."""

    width: int
    depth: int
    patch: int  # pixels a side
    grid: int  # patches a side that it has positions for
    head: int = 64  # width of an attention head
    epsilon: float = 1e-6  # of the layer norms
    activation: Callable[[Tensor], Tensor] = F.gelu
    layer_scale: bool = False  # each residual branch has a learned factor by channel (Touvron et al. 2021, Eq. 6)
    patch_bias: bool = True
    early_norm: bool = False  # a layer norm of the tokens before the first block
    projection: int | None = None  # width of a last linear map without bias


class VisionTransformer(nn.Module):
    """Normalised images (N, 3, H, W), sides multiples of the patch -> the class token (N, width), or its projection.

    At another grid than the one that it has positions for, these are interpolated as DINOv2's code does. Parameters
    are on the meta device until they are loaded.
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        with torch.device("meta"):
            self.patches = nn.Conv2d(3, width, settings.patch, settings.patch, bias=settings.patch_bias)
            self.class_token_D = nn.Parameter(torch.empty(width))
            self.positions_LD = nn.Parameter(torch.empty(1 + settings.grid**2, width))
            self.early_norm = nn.LayerNorm(width, settings.epsilon) if settings.early_norm else nn.Identity()
            self.blocks = nn.Sequential(*(Block(settings) for _ in range(settings.depth)))
            self.norm = nn.LayerNorm(width, settings.epsilon)
            if settings.projection is not None:
                self.projection_DF = nn.Parameter(torch.empty(width, settings.projection))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, width), or (N, projection)."""
        maps_NDHW = self.patches(images_NCHW)
        tokens_NLD = maps_NDHW.flatten(2).transpose(1, 2)
        first = self.class_token_D.expand(len(tokens_NLD), 1, -1)  # (N, 1, D)
        positions_LD = self._positions(maps_NDHW.shape[-2], maps_NDHW.shape[-1])
        tokens_NLD = self.early_norm(torch.cat((first, tokens_NLD), dim=1) + positions_LD)
        features_ND: Tensor = self.norm(self.blocks(tokens_NLD)[:, 0])
        return features_ND if self.settings.projection is None else features_ND @ self.projection_DF

    def _positions(self, height: int, width: int) -> Tensor:
        """The positions of a grid (L, D): bicubic, by DINOv2's factor (patches + 0.1) / grid.

        DINOv2 computes the factor so lest the size be rounded down (its issue 8 in facebookresearch/dino), and thereby
        moves the points that it reads by up to 0.6 % of the grid: features are its own only with the same.
        """
        grid = self.settings.grid
        if (height, width) == (grid, grid):
            return self.positions_LD
        places = self.positions_LD[1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)  # (1, D, grid, grid)
        factors = ((height + 0.1) / grid, (width + 0.1) / grid)
        resized = F.interpolate(places, scale_factor=factors, mode="bicubic")
        assert resized.shape[-2:] == (height, width)
        return torch.cat((self.positions_LD[:1], resized.flatten(2)[0].T))


class Block(nn.Module):
    """Attention, then two linear layers, each behind a layer norm and beside a residual path: (N, L, D) -> the same."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads = width // settings.head
        self.activation = settings.activation
        self.norm1 = nn.LayerNorm(width, settings.epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, settings.epsilon)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.scale1 = LayerScale(width) if settings.layer_scale else nn.Identity()
        self.scale2 = LayerScale(width) if settings.layer_scale else nn.Identity()

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        tokens_NLD = tokens_NLD + self.scale1(self._attention(self.norm1(tokens_NLD)))
        hidden = self.activation(self.widen(self.norm2(tokens_NLD)))  # (N, L, 4 D)
        return tokens_NLD + self.scale2(self.narrow(hidden))

    def _attention(self, tokens_NLD: Tensor) -> Tensor:
        # (N, L, 3D) -> three of (N, heads, L, head)
        query, key, value = self.qkv(tokens_NLD).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed_NLD: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return mixed_NLD


class LayerScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma_D = nn.Parameter(torch.empty(width))

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        return tokens_NLD * self.gamma_D


def quick_gelu(values: Tensor) -> Tensor:
    """CLIP's GELU: x sigmoid(1.702 x) (Hendrycks and Gimpel 2016, section 2)."""
    return values * torch.sigmoid(1.702 * values)
