"""FastGAN's generator: blocks that double a 4x4 map, and skip-layer excitation between far ones (section 3.1).

Liu et al. 2021; see recipes.py for what `paper` and `released` mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bench.networks import interface
from bench.networks.common.layers import linear, plain
from bench.networks.fastgan.layers import (
    SkipExcitation,
    conv,
    first_block,
    noisy_up_block,
    up_block,
)
from bench.networks.interface import HasBlocks, MixesStyles, TwoScales

BOTTOM = 4  # height and width of the generator's first map
REACH = 16  # an SLE's high map has this many times the height and width of its low map
LOW = (4, 8, 16, 32)  # the sizes of low maps
WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 1 / 2, 512: 1 / 4, 1024: 1 / 8}  # times ngf
NOISY = (8, 32, 128, 512)  # the sizes whose block has two convolutions and noise


class Generator(interface.Generator, HasBlocks, TwoScales, MixesStyles):
    """z and an optional condition -> images; it draws noise from the active stream of bench.networks.common.noise.

    excited: the sizes of the maps that an SLE multiplies. small_resolution: height and width of the second output,
    or None for one output. bounded: whether a tanh keeps the outputs in [-1, 1].
    """

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int,
        condition_dim: int | None,
        shared_dim: int,
        ngf: int,
        excited: tuple[int, ...],
        activation: Callable[[], nn.Module],
        small_resolution: int | None,
        bounded: bool,
    ) -> None:
        super().__init__()
        # Sizes: of z, of a condition, of images and maps.
        self.z_dim, self.condition_dim, self.shared_dim = z_dim, condition_dim, shared_dim
        self.resolution, self.small_resolution, self.bounded = resolution, small_resolution, bounded
        self.sizes = [size for size in WIDTHS if BOTTOM < size <= resolution]
        widths = {size: int(times * ngf) for size, times in WIDTHS.items()}

        # Layers, from the first map to the outputs.
        self.first = first_block(z_dim + (0 if condition_dim is None else shared_dim), widths[BOTTOM])
        self.blocks = nn.ModuleList(
            (noisy_up_block if size in NOISY else up_block)(widths[size // 2], widths[size]) for size in self.sizes
        )
        self.to_image = conv(widths[resolution], 3, 3, padding=1)
        self.to_small = None if small_resolution is None else conv(widths[small_resolution], 3, 1)

        # Optional, so drawn after the others: all other weights then agree between the rows of an ablation.
        self.excitations = nn.ModuleDict(
            {str(size): SkipExcitation(widths[size // REACH], widths[size], activation()) for size in excited}
        )
        # Drawn last: all other weights then agree between conditions of different size.
        self.condition_embedding = (
            None if condition_dim is None else linear(condition_dim, shared_dim, plain, bias=False)
        )

    def embed(self, condition_NK: Tensor) -> Tensor:
        """(N, condition_dim) -> (N, shared_dim)."""
        if self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return self.condition_embedding(condition_NK)

    def _input(self, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        if embedding_NE is None and self.condition_embedding is not None:
            raise ValueError("this generator needs a condition")
        if embedding_NE is not None and self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return z_NZ if embedding_NE is None else torch.cat([z_NZ, embedding_NE], dim=1)

    def _maps(self, input_NZ: Tensor, style: dict[int, Tensor] | None = None) -> dict[int, Tensor]:
        """Maps by size: those that SLEs read (from `style`, where it has them), the small one and the last."""
        h_NCHW = self.first(input_NZ[:, :, None, None])
        maps = {BOTTOM: h_NCHW}
        for size, block in zip(self.sizes, self.blocks, strict=True):
            h_NCHW = block(h_NCHW)
            if str(size) in self.excitations:
                low = size // REACH
                low_NLHW = maps[low] if style is None or low not in style else style[low]
                h_NCHW = self.excitations[str(size)](low_NLHW, h_NCHW)
            if size in LOW or size in (self.small_resolution, self.resolution):
                maps[size] = h_NCHW
        return maps

    def _shown(self, image_NCHW: Tensor) -> Tensor:
        return torch.tanh(image_NCHW) if self.bounded else image_NCHW

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, shared_dim) -> images (N, 3, R, R).

        Raises ValueError where a condition is missing or superfluous.
        """
        maps = self._maps(self._input(z_NZ, embedding_NE))
        return self._shown(self.to_image(maps[self.resolution]))

    def both_scales(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, 3, R, R) as `forward` gives them, and the second output (N, 3, S, S) for D's `small_NCHW`.

        Raises ValueError where G has one output only.
        """
        if self.to_small is None or self.small_resolution is None:
            raise ValueError("this generator has one output: variant='released' has two")
        maps = self._maps(self._input(z_NZ, None if condition_NK is None else self.embed(condition_NK)))
        images_NCHW = self._shown(self.to_image(maps[self.resolution]))
        return images_NCHW, self._shown(self.to_small(maps[self.small_resolution]))

    @property
    def style_sizes(self) -> tuple[int, ...]:
        """The sizes of the maps that an SLE multiplies, small ones first; none without SLEs."""
        return tuple(sorted(int(size) for size in self.excitations))

    def style_maps(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> dict[int, Tensor]:
        """The low maps that SLEs read, by the size of the map that each of them multiplies."""
        maps = self._maps(self._input(z_NZ, None if condition_NK is None else self.embed(condition_NK)))
        return {size: maps[size // REACH] for size in self.style_sizes}

    def with_styles(self, z_NZ: Tensor, style_maps: Mapping[int, Tensor], condition_NK: Tensor | None = None) -> Tensor:
        """Images (N, 3, R, R) whose SLEs read these maps, `style_maps` of other images (section 4.2 and appendix C).

        An SLE whose size is not among them reads the image's own.
        """
        embedding_NE = None if condition_NK is None else self.embed(condition_NK)
        low = {size // REACH: style_NLHW for size, style_NLHW in style_maps.items()}
        return self._shown(self.to_image(self._maps(self._input(z_NZ, embedding_NE), low)[self.resolution]))
