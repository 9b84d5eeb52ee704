"""What the generators of StyleGAN and StyleGAN2 share: z to w, mixing of styles, truncation (Karras et al. 2019).

Conditions enter as in DISP, appendix A: G_emb, a two-layer ReLU MLP, gives an embedding that is concatenated with z
before the mapping network; `condition_form: ada` is ADA's instead. The mapping network's first layer is kept as two:
W [z, e] = W_z z + W_e e. W_z keeps the name and shape it has without conditions, W_e lies below `condition_embedding`,
and both have the scale of the concatenation, 1/sqrt(z_dim + shared_dim).

Declared, because DISP is silent: both layers of G_emb have equalised learning rates and biases, the first with gain
sqrt(2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from bench.networks import interface
from bench.networks.common import noise as noise_stream
from bench.networks.common import sharing
from bench.networks.stylegan2.layers import ACTIVATION_GAIN, EqualLinear, activate, unit_second_moment

BOTTOM = 4  # height and width of the first map
ConditionForm = Literal["disp", "ada"]
ConditionNorm = Literal["joint", "separate"]
MixingPer = Literal["batch", "image"]
MAPPING_LR = 0.01  # learning-rate multiplier of the mapping network
W_AVERAGE_DECAY = 0.995


def map_sizes(resolution: int) -> list[int]:
    """Height and width of the maps that double to a resolution: 4, 8, ..., resolution."""
    return [BOTTOM << level for level in range((resolution // BOTTOM).bit_length())]


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


class StyleGenerator(interface.Generator, interface.Styled):
    """z and an optional condition -> images, not bounded by an activation; a subclass builds the layers.

    In training, styles are mixed and w_average follows the mean w; both latents and the noise come from the
    active stream of `bench.networks.common.noise`. Outside, w is truncated towards w_average. `synthesis.noise` may be
    set to "const" for images that are a function of z alone.
    """

    bounded = False
    shared_dim: int
    mapping: nn.ModuleList
    condition_embedding: ConditionEmbedding | None
    condition_norm: ConditionNorm
    mixing_per: MixingPer
    truncation: float
    w_average: Tensor
    on_latent: Callable[[nn.Module, Tensor], Tensor] | None = None

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
            self.w_average.lerp_(sharing.mean(w_NW.detach().to(self.w_average.dtype)), 1 - W_AVERAGE_DECAY)
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
        axis = None if self.mixing_per == "batch" else 1
        chance_M, place_M = noise_stream.uniform((2, draws), like=z_NZ, images=axis)
        crossover_M = 1 + (place_M * (layers - 1)).floor()
        after_ML = torch.arange(layers, device=z_NZ.device) >= crossover_M[:, None]
        swaps_ML = after_ML & (chance_M < self.mixing)[:, None]
        return torch.where(swaps_ML[:, :, None], other_NW[:, None], w_NLW)
