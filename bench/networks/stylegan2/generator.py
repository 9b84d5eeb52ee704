"""The generator of StyleGAN2 (Karras et al. 2020, figure 7b): mapping network, style mixing, synthesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from bench.networks.common import noise as noise_stream
from bench.networks.stylegan2.layers import (
    ACTIVATION_GAIN,
    EqualLinear,
    Noise,
    StyledConv,
    ToRGB,
    UpStyledConv,
    activate,
    binomial,
    double,
    unit_second_moment,
)

BOTTOM = 4  # height and width of the first map
ConditionForm = Literal["disp", "ada"]
ConditionNorm = Literal["joint", "separate"]
MixingPer = Literal["batch", "image"]
MAPPING_LR = 0.01  # learning-rate multiplier of the mapping network
W_AVERAGE_DECAY = 0.995


class SynthesisBlock(nn.Module):
    """Doubles height and width with the first of two styled convolutions, and adds to the RGB image."""

    kernel_KK: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, clamp: float | None
    ) -> None:
        super().__init__()
        self.conv0 = UpStyledConv(in_channels, out_channels, w_dim, resolution, clamp)
        self.conv1 = StyledConv(out_channels, out_channels, w_dim, resolution, clamp)
        self.to_rgb = ToRGB(out_channels, w_dim, clamp)
        self.register_buffer("kernel_KK", binomial(gain=4.0), persistent=False)

    def forward(
        self, x_NCHW: Tensor, rgb_NCHW: Tensor, w_3NW: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """A map, its image and the three layers' w -> the next map and its image."""
        h_NCHW = self.conv0(x_NCHW, w_3NW[0], noise)
        h_NCHW = self.conv1(h_NCHW, w_3NW[1], noise)
        return h_NCHW, double(rgb_NCHW, self.kernel_KK) + self.to_rgb(h_NCHW, w_3NW[2])


class Synthesis(nn.Module):
    """w of every layer -> images. widths: channels at 4x4, 8x8, ... `layers` counts convolutions and the last RGB.

    noise: what is injected outside training; "const" is a fixed map of each layer. In training it is random.
    """

    def __init__(self, widths: Sequence[int], w_dim: int, noise: Noise, clamp: float | None) -> None:
        super().__init__()
        self.layers, self.noise = 2 * len(widths), noise
        self.constant_CHW = nn.Parameter(torch.randn(widths[0], BOTTOM, BOTTOM))
        self.conv = StyledConv(widths[0], widths[0], w_dim, BOTTOM, clamp)
        self.to_rgb = ToRGB(widths[0], w_dim, clamp)
        self.blocks = nn.ModuleList(
            SynthesisBlock(before, after, w_dim, BOTTOM * 2**level, clamp)
            for level, (before, after) in enumerate(pairwise(widths), start=1)
        )

    def forward(self, w_NLW: Tensor, noise: Noise | None = None) -> Tensor:
        """(N, layers, w_dim) -> images (N, 3, R, R); `noise` overrides the choice for this call."""
        noise = noise or ("random" if self.training else self.noise)
        w_LNW = w_NLW.unbind(1)
        h_NCHW = self.constant_CHW.expand(len(w_NLW), -1, -1, -1).contiguous(
            memory_format=torch.channels_last
        )
        h_NCHW = self.conv(h_NCHW, w_LNW[0], noise)
        rgb_NCHW = self.to_rgb(h_NCHW, w_LNW[1])
        for level, block in enumerate(self.blocks, start=1):
            # A block's RGB layer shares its w with the next block's first convolution.
            w_3NW = w_LNW[2 * level - 1 : 2 * level + 2]
            h_NCHW, rgb_NCHW = block(h_NCHW, rgb_NCHW, w_3NW, noise)
        return rgb_NCHW


class ConditionEmbedding(nn.Module):
    """G_emb: condition -> embedding, and the embedding's part of the mapping network's first layer.

    form: "disp", a two-layer ReLU MLP, or "ada", one linear map.
    """

    def __init__(
        self, condition_dim: int, shared_dim: int, w_dim: int, fan_in: int, form: ConditionForm = "disp"
    ) -> None:
        super().__init__()
        self.mlp = (
            EqualLinear(condition_dim, shared_dim)
            if form == "ada"
            else nn.Sequential(
                EqualLinear(condition_dim, shared_dim, gain=ACTIVATION_GAIN),
                nn.ReLU(),
                EqualLinear(shared_dim, shared_dim),
            )
        )
        self.mapping = EqualLinear(
            shared_dim, w_dim, bias=False, lr_mul=MAPPING_LR, gain=ACTIVATION_GAIN, fan_in=fan_in
        )


class Generator(nn.Module):
    """z and an optional condition -> images, not bounded by an activation.

    In training, styles are mixed and w_average follows the mean w; both latents and the noise come from the
    active stream of `bench.networks.common.noise`. Outside, w is truncated towards w_average. `synthesis.noise` may be
    set to "const" for images that are a function of z alone.

    on_latent: what every latent goes through before it is mapped, (generator, z (N, z_dim)) -> (N, z_dim): the given
    one, the second one of a mixed image, and whatever `map` is asked for. A plain function, so that a copy of the
    generator calls it with itself.
    """

    bounded = False
    w_average: Tensor
    on_latent: Callable[[nn.Module, Tensor], Tensor] | None = None

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
        self.z_dim, self.w_dim, self.condition_dim, self.shared_dim = z_dim, w_dim, condition_dim, shared_dim
        self.resolution = BOTTOM * 2 ** (len(widths) - 1)
        self.condition_norm = condition_norm
        self.mixing, self.mixing_per, self.truncation = mixing, mixing_per, truncation
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

    def embed(self, condition_NK: Tensor) -> Tensor:
        """G_emb: (N, condition_dim) -> (N, shared_dim)."""
        if self.condition_embedding is None:
            raise ValueError("this generator has no condition: build it with condition_dim")
        return self.condition_embedding.mlp(condition_NK)

    def map(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """The mapping network: (N, z_dim), (N, condition_dim) -> w (N, w_dim), neither mixed nor truncated.

        In training it moves w_average by a step of 0.005. Raises ValueError as `synthesize` does.
        """
        return self._map_and_average(z_NZ, self._embedding(condition_NK))

    def styles(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """What `forward` hands to `synthesis`: w of every layer, (N, synthesis.layers, w_dim)."""
        return self._styles(z_NZ, self._embedding(condition_NK))

    def synthesize(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, shared_dim) -> images (N, 3, resolution, resolution).

        Raises ValueError where a condition is missing or superfluous, RuntimeError where numbers are drawn
        and no noise stream is active.
        """
        return self.synthesis(self._styles(z_NZ, embedding_NE))

    def reconstruct(self, z_NZ: Tensor, embedding_NE: Tensor | None = None) -> Tensor:
        """As `synthesize`, for a fit of given images: one latent an image in training too, never a mixture of two.

        Noise is that of `synthesis.noise`: with "const" or "none" the images are a function of z and embedding.
        """
        w_NW = self._map_and_average(z_NZ, embedding_NE)
        return self.synthesis(w_NW[:, None].expand(-1, self.synthesis.layers, -1), self.synthesis.noise)

    def forward(self, z_NZ: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        """(N, z_dim), (N, condition_dim) -> images (N, 3, resolution, resolution)."""
        return self.synthesize(z_NZ, self._embedding(condition_NK))

    def _embedding(self, condition_NK: Tensor | None) -> Tensor | None:
        return None if condition_NK is None else self.embed(condition_NK)

    def _map(self, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        if self.on_latent is not None:
            z_NZ = self.on_latent(self, z_NZ)
        if self.condition_embedding is None:
            if embedding_NE is not None:
                raise ValueError("this generator has no condition: build it with condition_dim")
            h_NW = self.mapping[0](unit_second_moment(z_NZ))
        else:
            if embedding_NE is None:
                raise ValueError("this generator needs a condition")
            z_NZ, embedding_NE = self._normalised(z_NZ, embedding_NE)
            h_NW = self.mapping[0](z_NZ) + self.condition_embedding.mapping(embedding_NE)
        h_NW = activate(h_NW)
        for layer in self.mapping[1:]:
            h_NW = activate(layer(h_NW))
        return h_NW

    def _normalised(self, z_NZ: Tensor, embedding_NE: Tensor) -> tuple[Tensor, Tensor]:
        if self.condition_norm == "separate":
            return unit_second_moment(z_NZ), unit_second_moment(embedding_NE)
        z_NZ, embedding_NE = unit_second_moment(torch.cat([z_NZ, embedding_NE], dim=1)).split(
            [self.z_dim, self.shared_dim], dim=1
        )
        return z_NZ, embedding_NE

    def _map_and_average(self, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        w_NW = self._map(z_NZ, embedding_NE)
        if self.training:
            self.w_average.lerp_(w_NW.detach().to(self.w_average.dtype).mean(dim=0), 1 - W_AVERAGE_DECAY)
        return w_NW

    def _styles(self, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        w_NW = self._map_and_average(z_NZ, embedding_NE)
        if not self.training and self.truncation != 1:
            w_NW = torch.lerp(self.w_average, w_NW, self.truncation)
        w_NLW = w_NW[:, None].expand(-1, self.synthesis.layers, -1)
        return self._mixed(w_NLW, z_NZ, embedding_NE) if self.training and self.mixing else w_NLW

    def _mixed(self, w_NLW: Tensor, z_NZ: Tensor, embedding_NE: Tensor | None) -> Tensor:
        """Layers from a random crossover on take the w of a second z, with probability `mixing`."""
        other_NW = self._map(noise_stream.normal(z_NZ.shape, like=z_NZ), embedding_NE)
        layers, draws = w_NLW.shape[1], 1 if self.mixing_per == "batch" else len(z_NZ)
        chance_M, place_M = noise_stream.uniform((2, draws), like=z_NZ)
        crossover_M = 1 + (place_M * (layers - 1)).floor()
        after_ML = torch.arange(layers, device=z_NZ.device) >= crossover_M[:, None]
        swaps_ML1 = (after_ML & (chance_M < self.mixing)[:, None])[:, :, None]
        return torch.where(swaps_ML1, other_NW[:, None], w_NLW)
