"""BSA: adapt the scale and shift of a source generator's batch norms to a few images (Noguchi and Harada 2019).

Image i has a latent z_i of its own; the scales and shifts (gamma, beta) and all z_i are fitted so that G(z_i + noise)
looks like x_i. No filter changes and no discriminator is trained. Settings are those of the authors' code for SNGAN,
which the paper's text leaves open in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.contract.base import Sampler
from bench.errors import UserError
from bench.features.perceptual import VGG16Activations
from bench.networks.common import noise
from bench.networks.common.truncation import truncated
from bench.networks.interface import Generator, HasBlocks
from bench.train import Context, Logged, Method
from bench.train.batches import Batches

from .common.perceptual import l1_distances
from .transfergan import copy_weights, source_member

LAYERS = (1, 3, 6, 8, 11, 13, 15, 18, 20, 22)  # of VGG16: conv1_1 to conv4_3, after ReLU
EMBEDDING = "condition_embedding"  # G_emb in the names of tensors
NORMALS = 10  # normal vectors for each latent of a batch; the latent term draws the latents near to them
Z_NOISE = 0.01  # standard deviation of what is added to a latent at each visit


class Bsa(Method):
    """Replaces the adversarial loop; needs a source `network`, whose averaged generator is adapted.

    Loss: L1 on pixels + perceptual * the sum of L1 on VGG16's layers + latent * (the mean squared distance of each
    z_i to the nearest of some normal vectors, and of each of those to its nearest z_i) + statistics * the sum over
    norms of mean (gamma - 1)^2 + mean beta^2.

    perceptual: the authors have 0.001 for a VGG16 that reads pixels of 0 to 255. Ours reads them divided by 255 *
    0.225, so declared 0.001 * 57. lr: of Adam, for all that is fitted. It is multiplied by 0.2 after each
    `decay_share` of the run's steps (3,000 of 10,000); the rates of the run's spec are not used. truncation: images
    are made from normals cut off at this distance from 0.

    Declared: a source with classes always gets the mean of its class conditions. Batch norms stay in evaluation mode,
    with the source's statistics, as in the authors' code. That code also fits a scale and shift of the first map and
    moves the first layer at a rate of 1e-7, which is left out here. `flip` is ignored, as z_i belongs to one image.
    """

    in_graphs = "has a loop of its own"
    splits = "it trains in a loop of its own, which runs on one card"
    papers = (
        (
            "Noguchi and Harada",
            2019,
            "Image Generation From Small Datasets via Batch Statistics Adaptation",
            "arXiv:1904.01774",
        ),
    )

    version = 2
    sources: ClassVar[dict[str, str]] = {"network": ""}

    def __init__(
        self,
        *,
        perceptual: float = 0.057,
        latent: float = 0.1,
        statistics: float = 0.02,
        lr: float = 0.03,
        decay_share: float = 0.3,
        truncation: float = 0.3,
    ) -> None:
        for name, weight in {"perceptual": perceptual, "latent": latent, "statistics": statistics}.items():
            if weight < 0:
                raise UserError(f"method 'bsa': {name} is {weight}, must be 0 or more")
        for name, value in {"lr": lr, "decay_share": decay_share, "truncation": truncation}.items():
            if value <= 0:
                raise UserError(f"method 'bsa': {name} is {value}, must be positive")
        self.weights = {"perceptual": perceptual, "latent": latent, "statistics": statistics}
        self.lr = lr
        self.decay_share = decay_share
        self.truncation = truncation

    def networks(self, ctx: Context) -> dict[str, Any]:
        embedding = _embedding(source_member(ctx.source("network"), "ema"))
        if not embedding:
            return {}
        if set(embedding) != {"weight"}:
            raise UserError(f"method 'bsa': the source's {EMBEDDING} is no linear map; use sngan or biggan")
        return {"condition_dim": embedding["weight"].shape[1]}

    def prepare(self, ctx: Context) -> None:
        # The source's generator, frozen but for the scales and shifts of its norms.
        generator, _ = ctx.networks()
        source = source_member(ctx.source("network"), "ema")
        copy_weights(source, generator, "generator")
        if embedding := _embedding(source):
            generator.get_submodule(EMBEDDING).load_state_dict(embedding)
        generator.requires_grad_(False).eval()
        self.adapted = adapt(generator)

        # A latent for each image, and the optimiser of all that is fitted.
        shape = len(ctx.images_u8_NHWC), generator.z_dim
        self.latents_MZ = nn.Parameter(torch.zeros(shape, device=ctx.device))
        self.perceptual = VGG16Activations(LAYERS, str(ctx.device))
        fitted = [self.latents_MZ, *(value for norm in self.adapted for value in (norm.scale, norm.shift))]
        self.optimizer = torch.optim.Adam(fitted, lr=self.lr)

    def fit(self, ctx: Context) -> Iterator[Logged]:
        train = ctx.spec.train
        assert train is not None
        batches = Batches(ctx.images_u8_NHWC, train.batch, ctx.spec.seed, device=ctx.device)
        while ctx.step < train.steps:
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(ctx.step, train.steps)
            batch = batches.at(ctx.step)
            terms = self.loss_terms(ctx, batch.images_NCHW, self.latents_MZ[batch.index_N])
            self.optimizer.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            self.optimizer.step()
            yield {name: term.detach() for name, term in terms.items()}

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step 0, 1, ... of a run of `steps` steps."""
        return self.lr * 0.2 ** int((step + 1) / (self.decay_share * steps))

    def loss_terms(self, ctx: Context, wanted_NCHW: Tensor, z_NZ: Tensor) -> dict[str, Tensor]:
        """The terms of the loss, times their weights, for images and their latents; their sum is what is fitted."""
        generator, _ = ctx.networks()
        jitter_NZ = ctx.numbers("bsa-jitter").normal(*z_NZ.shape)
        normal_RZ = ctx.numbers("bsa-normals").normal(NORMALS * len(z_NZ), z_NZ.shape[1])
        with noise.drawn_from(ctx.numbers("noise")):
            images_NCHW = _images(generator, z_NZ + Z_NOISE * jitter_NZ)
        pixels, *layers = l1_distances(self.perceptual, images_NCHW, wanted_NCHW)
        terms = {
            "perceptual": torch.stack(layers).sum(),
            "latent": nearest_distances(z_NZ, normal_RZ),
            "statistics": torch.stack([norm.departure() for norm in self.adapted]).sum(),
        }
        return {"pixels": pixels, **{name: self.weights[name] * term for name, term in terms.items()}}

    def sampler(self, ctx: Context) -> Sampler:
        """Images at the engine's z, each number of which is moved to its quantile of the truncated normal."""

        def sample(generator: Generator, z_NZ: Tensor, stream: torch.Generator) -> Tensor:
            return _images(generator, truncated(z_NZ, self.truncation))

        return sample

    def state_dict(self) -> dict[str, Any]:
        return {"latents": self.latents_MZ.detach(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self.latents_MZ.copy_(state["latents"])
        self.optimizer.load_state_dict(state["optimizer"])


class AdaptedNorm(nn.Module):
    """A norm, and after it a scale that starts at 1 and a shift that starts at 0, one number a channel each."""

    def __init__(self, norm: nn.Module, channels: int) -> None:
        super().__init__()
        self.norm = norm
        device = next((value.device for value in norm.state_dict().values()), None)
        self.scale = nn.Parameter(torch.ones(channels, device=device))
        self.shift = nn.Parameter(torch.zeros(channels, device=device))

    def forward(self, x_NCHW: Tensor, *condition: Tensor | None) -> Tensor:
        """What the norm gives, scaled and shifted."""
        normed_NCHW = self.norm(x_NCHW, *condition)
        return torch.addcmul(self.shift[:, None, None], normed_NCHW, self.scale[:, None, None])

    def departure(self) -> Tensor:
        """mean (gamma - 1)^2 + mean beta^2."""
        return (self.scale - 1).square().mean() + self.shift.square().mean()


def adapt(generator: nn.Module) -> list[AdaptedNorm]:
    """Replace each batch norm in the generator's blocks, conditional or not, by an adapted one; returns them.

    Raises UserError for a generator without such norms.
    """
    adapted = []
    blocks = generator.blocks if isinstance(generator, HasBlocks) else nn.ModuleList()
    for block in [module for module in blocks.modules() if _channels(module) is None]:
        for name, child in list(block.named_children()):
            if channels := _channels(child):
                adapted.append(AdaptedNorm(child, channels))
                setattr(block, name, adapted[-1])
    if not adapted:
        raise UserError("method 'bsa': this generator has no blocks with batch norms; use sngan or biggan")
    return adapted


def _channels(module: nn.Module) -> int | None:
    """The channels of a batch norm or of a conditional one; None for other modules."""
    if isinstance(module, nn.BatchNorm2d):
        return module.num_features
    # A conditional one holds a batch norm that has no scale and shift of its own. A block of layers (SNDCGAN's
    # deconvolution) may hold a whole one, which is then adapted itself, before the block's activation.
    norm = dict(module.named_children()).get("norm")
    return norm.num_features if isinstance(norm, nn.BatchNorm2d) and not norm.affine else None


def nearest_distances(z_NZ: Tensor, normal_RZ: Tensor) -> Tensor:
    """mean over z of min |z - r|^2 + mean over r of min |z - r|^2."""
    square_NR = z_NZ.square().sum(1, keepdim=True) - 2 * z_NZ @ normal_RZ.T + normal_RZ.square().sum(1)
    return square_NR.amin(0).mean() + square_NR.amin(1).mean()


def _images(generator: Generator, z_NZ: Tensor) -> Tensor:
    """Images at the mean of the one-hot conditions, where the generator has conditions."""
    classes = generator.condition_dim
    condition_NK = None if classes is None else z_NZ.new_full((len(z_NZ), classes), 1 / classes)
    images_NCHW: Tensor = generator(z_NZ, condition_NK)
    return images_NCHW


def _embedding(source: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The source's embedding of its conditions, by the names inside it; empty for a source without conditions."""
    prefix = f"{EMBEDDING}."
    return {name.removeprefix(prefix): value for name, value in source.items() if name.startswith(prefix)}
