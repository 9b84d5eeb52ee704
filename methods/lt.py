"""LT-GAN: G is rewarded where one step in z changes all images alike (Patel et al. 2021, section 3.2).

An auxiliary network A sees how D's features change from G(z) to G(z + e), for two images at a time, and tells
whether their e was the same. A and G minimise its cross entropy together, D does not see it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UserError, did_you_mean
from bench.networks.common import noise
from bench.networks.interface import Growing, HasBlocks, Styled, has_two_scales
from bench.train import Auxiliary, Context, GStep, Logged, Method

from .common.penultimate import penultimate

BETAS = (0.9, 0.999)


class LT(Method):
    """Eq 4-6 and algorithm 1. The text at hand gives no number but A's shape, so all defaults are declared.

    layer: the map D_k is the output of `discriminator.blocks[layer]`, counted from 0 (the fifth layer of SNDCGAN at
    32 px is 4, its seventh at 128 px is 6); null: the map that D's own features read ("just before sum pooling"). Of a
    StyleGAN's D at R px the output of blocks[k] is the map of R / 2^(k+1) px; null is there the 4 px map behind the
    minibatch deviation, where the supplement (9.4) has one resolution's map: name its block.
    pool, stride: of the average pooling of that map, without padding; null: stride is pool. The supplement pools in
    9.1, 9.3, 9.4 and 9.5, and not in 9.2 (BigGAN on CIFAR-10: pool=1).
    weight: lambda; the text has another value for BigGAN on ImageNet and StyleGAN than elsewhere. sigma: standard
    deviation of e, below z's 1. warmup_share: share of the run's steps with the plain losses. network: A, "two-layer",
    "linear" or "convolutional". lr: of A's Adam (0.9, 0.999).

    Readings of algorithm 1 (declared): two e a step, given to the images in turns; an image's partner comes from a
    random permutation, which may leave it alone. "Twice the batch" for G is two images for each z; G's adversarial
    loss is that of G(z). That D learns to call G(z + e) fake at its old batch size means that the second half of
    the latents that D's images are made from are perturbed ones (of mixed styles, the first latent alone).
    """

    in_graphs = "updates a network of its own after the step"
    splits = "it pairs images of the whole batch, and trains a network of its own on them"
    papers = (
        ("Patel et al.", 2021, "LT-GAN: Self-Supervised GAN with Latent Transformation Detection", "arXiv:2010.09893"),
    )

    def __init__(
        self,
        *,
        layer: int | None = None,
        pool: int = 4,
        stride: int | None = None,
        weight: float = 1.0,
        sigma: float = 0.5,
        warmup_share: float = 0.1,
        network: str = "two-layer",
        lr: float = 1e-3,
    ) -> None:
        for name, value in {"weight": weight, "sigma": sigma, "lr": lr}.items():
            if value <= 0:
                raise UserError(f"method 'lt': {name} is {value}, must be above 0")
        for name, size in {"pool": pool, "stride": pool if stride is None else stride}.items():
            if size < 1:
                raise UserError(f"method 'lt': {name} is {size}, must be 1 or more")
        if not 0 <= warmup_share < 1:
            raise UserError(f"method 'lt': warmup_share is {warmup_share}, must be 0 or more and below 1")
        if network not in NETWORKS:
            raise UserError(f"method 'lt': unknown network '{network}'; {did_you_mean(network, NETWORKS)}")
        self.layer = layer
        self.pool = pool
        self.stride = pool if stride is None else stride
        self.weight = weight
        self.sigma = sigma
        self.warmup_share = warmup_share
        self.network_name = network
        self.lr = lr

    def prepare(self, ctx: Context) -> None:
        train = ctx.spec.train
        assert train is not None
        if (train.micro_batch or train.batch) < 2:
            raise UserError("method 'lt': a batch of one image has no pairs; batch and micro_batch must be 2 or more")
        generator, _ = ctx.networks()
        if has_two_scales(generator):
            raise UserError("method 'lt': a generator with two outputs cannot be paired; use variant 'paper'")
        shape = self._map_shape(ctx)
        with ctx.initialised("lt-network"):
            self.network = NETWORKS[self.network_name](*shape)
        self.network = self.network.to(ctx.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr, betas=BETAS)
        # First of all hooks: e is a step in the latents that are drawn, whatever else is done to them.
        generator.register_forward_pre_hook(self._perturb_half(ctx), prepend=True)

    def begin_step(self, ctx: Context) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if not self._active(ctx):
            return {}
        images_NCHW, shifted_NCHW, which_N = image_pairs(ctx, step, self.sigma)
        _, discriminator = ctx.networks()
        partner_N = ctx.numbers("lt-permutation").permutation(len(which_N))
        logits_N = self._same(discriminator, images_NCHW, shifted_NCHW, partner_N)
        same_N = (which_N == which_N[partner_N]).float()
        ctx.left.setdefault("lt", []).append(((logits_N.detach() > 0) == (same_N > 0)).float().mean())
        return {"same": self.weight * functional.binary_cross_entropy_with_logits(logits_N, same_N)}

    def after_step(self, ctx: Context) -> Logged:
        if not self._active(ctx):
            return {}
        self.optimizer.step()
        return {"accuracy": torch.stack(ctx.left["lt"]).mean()}

    def auxiliary(self, ctx: Context) -> Auxiliary:
        """A at the snapshot, which reads the D of the snapshot."""
        _, discriminator = ctx.networks()
        self.network.eval()
        return Auxiliary(self.sigma, partial(self._same, discriminator.eval()))

    def _same(self, discriminator: nn.Module, images_NCHW: Tensor, shifted_NCHW: Tensor, partner_N: Tensor) -> Tensor:
        """A's logits (N,) of whether image i and its partner have the same e."""
        before_NCHW, after_NCHW = self._maps(discriminator, torch.cat([images_NCHW, shifted_NCHW])).chunk(2)
        with torch.autocast(images_NCHW.device.type, enabled=False):
            logits_N: Tensor = self.network(side_by_side(after_NCHW - before_NCHW, partner_N)).squeeze(1)
        return logits_N

    def _active(self, ctx: Context) -> bool:
        """After the warm-up, and not before a growing network is whole (supplement 9.4)."""
        assert ctx.spec.train is not None
        warm = ctx.step >= round(self.warmup_share * ctx.spec.train.steps)
        return warm and is_whole(ctx.networks()[0])

    def _maps(self, discriminator: nn.Module, images_NCHW: Tensor) -> Tensor:
        """D_k, pooled, in float32: images -> (N, C, h, w)."""
        maps_NCHW = layer_output(discriminator, self.layer, images_NCHW).float()
        return functional.avg_pool2d(maps_NCHW, self.pool, self.stride)

    def _map_shape(self, ctx: Context) -> tuple[int, int, int]:
        """Of the pooled map, (C, h, w). On a copy of D: a pass would move its spectral norms."""
        generator, discriminator = ctx.networks()
        blocks = len(discriminator.blocks) if isinstance(discriminator, HasBlocks) else 0
        if self.layer is not None and not -blocks <= self.layer < blocks:
            raise UserError(f"method 'lt': layer is {self.layer}, must be from 0 to {blocks - 1} in this discriminator")
        probe = copy.deepcopy(discriminator).eval()
        if isinstance(probe, Growing):
            probe.grow(probe.top, 1.0)
        side = generator.resolution
        with torch.no_grad():
            maps_NCHW = layer_output(probe, self.layer, torch.zeros(1, 3, side, side, device=ctx.device))
        _, channels, height, width = maps_NCHW.shape
        if self.pool > min(height, width):
            raise UserError(
                f"method 'lt': pool is {self.pool}, must be at most {min(height, width)}, the size of the layer's map"
            )
        return channels, (height - self.pool) // self.stride + 1, (width - self.pool) // self.stride + 1

    def _perturb_half(self, ctx: Context) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        """A hook before G's calls: of the latents of images for D, the second half becomes z + e.

        D's images are the ones that a training G makes without gradient. A function and not a method, because the
        averaged generator is a deep copy with all hooks.
        """

        def perturb(generator: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if torch.is_grad_enabled() or not generator.training or not self._active(ctx):
                return None
            z_NZ, *condition = arguments
            kept = (len(z_NZ) + 1) // 2
            draws = ctx.numbers("lt-discriminator").normal(2, z_NZ.shape[1]).to(z_NZ)  # (2, Z)
            shift_NZ, _ = tiled(draws * self.sigma, len(z_NZ) - kept)
            return (torch.cat([z_NZ[:kept], z_NZ[kept:] + shift_NZ]), *condition)

        return perturb

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def side_by_side(differences_NCHW: Tensor, partner_N: Tensor) -> Tensor:
    """f_i and f_partner(i) as one map (N, 2C, H, W), the input of A (Eq 5)."""
    return torch.cat([differences_NCHW, differences_NCHW[partner_N]], dim=1)


def is_whole(generator: nn.Module) -> bool:
    """Whether nothing is left to grow or to fade in."""
    return not isinstance(generator, Growing) or (generator.level, generator.alpha) == (generator.top, 1)


def layer_output(discriminator: nn.Module, layer: int | None, images_NCHW: Tensor) -> Tensor:
    """The output of `discriminator.blocks[layer]` in one pass over images, or of `feature_maps` for None."""
    read = penultimate("lt", discriminator).feature_maps
    if layer is None:
        return read(images_NCHW)
    assert isinstance(discriminator, HasBlocks)
    outputs: list[Tensor] = []
    hook = discriminator.blocks[layer].register_forward_hook(lambda _block, _inputs, output: outputs.append(output))
    try:
        read(images_NCHW)
    finally:
        hook.remove()
    return outputs[0]


# ---- pairs G(z), G(z + e) that differ by e alone: same condition, same noise, same place where styles cross over


def tiled(perturbations: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Two perturbations (2, Z) in turns: (count, Z), and which of them each row has, (count,) of 0 and 1."""
    which_N = torch.arange(count, device=perturbations.device) % 2
    return perturbations[which_N], which_N


def image_pairs(ctx: Context, step: GStep, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """G(z), G(z + e), each (N, 3, H, W), and which of two perturbations e ~ N(0, sigma^2) each image got, (N,).

    A generator that mixes styles has two latents, and e a part for each (LT-GAN, supplement 9.4). G(z) are the
    step's own images where G draws no noise; else they are made again, with the noise of G(z + e).
    """
    generator, _ = ctx.networks()
    numbers = ctx.numbers("lt-noise")
    twin = numbers.again()
    # (2, 2, Z): which latent of a mixed image, which perturbation
    draws = ctx.numbers("lt").normal(2, 2, step.z_NZ.shape[1]).to(step.z_NZ) * sigma
    shift_NZ, which_N = tiled(draws[0], len(step.z_NZ))
    if isinstance(generator, Styled) and generator.mixing:
        other_shift_NZ, _ = tiled(draws[1], len(step.z_NZ))
        other_NZ = ctx.numbers("lt-mixing").normal(*step.z_NZ.shape).to(step.z_NZ)
        with noise.drawn_from(numbers):
            images_NCHW = mixed_images(generator, step.z_NZ, other_NZ, step.condition_NK)
        with noise.drawn_from(twin):
            shifted_NCHW = mixed_images(generator, step.z_NZ + shift_NZ, other_NZ + other_shift_NZ, step.condition_NK)
        return images_NCHW, shifted_NCHW, which_N
    with noise.drawn_from(numbers):
        shifted_NCHW = generator(step.z_NZ + shift_NZ, step.condition_NK)
    if not numbers.used:  # G has drawn nothing
        return step.images_NCHW, shifted_NCHW, which_N
    with noise.drawn_from(twin):
        return generator(step.z_NZ, step.condition_NK), shifted_NCHW, which_N


def mixed_images(generator: Styled, first_NZ: Tensor, second_NZ: Tensor, condition_NK: Tensor | None) -> Tensor:
    """Images whose layers from a random crossover on take the w of the second z (Karras et al. 2019, section 3.1).

    As the generator itself does in training, but with a second z that the caller knows; crossovers come from the
    active noise stream.
    """
    first_NW = generator.map(first_NZ, condition_NK)
    second_NW = generator.map(second_NZ, condition_NK)
    layers = generator.synthesis.layers
    draws = 1 if generator.mixing_per == "batch" else len(first_NZ)
    chance_M, place_M = noise.uniform((2, draws), like=first_NZ)
    crossover_M = 1 + (place_M * (layers - 1)).floor()
    after_ML = torch.arange(layers, device=first_NZ.device) >= crossover_M[:, None]
    swapped_ML = after_ML & (chance_M < generator.mixing)[:, None]
    w_NLW = torch.where(swapped_ML[:, :, None], second_NW[:, None], first_NW[:, None])
    images_NCHW: Tensor = generator.synthesis(w_NLW)
    return images_NCHW


# ---- A: two differences of feature maps, side by side (N, 2C, H, W) -> logits (N, 1) of whether one e made both
# The sigmoid of the text is part of the loss. Names and layers are those of the ablation (supplement 7).


def linear(channels: int, height: int, width: int) -> nn.Sequential:
    """One fully connected layer: too weak for the task, as the ablation shows."""
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * channels * height * width, 1))


def two_layer(channels: int, height: int, width: int) -> nn.Sequential:
    """2 H W C -> C, ReLU, -> 1: the network of all published results (section 4.1)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(2 * channels * height * width, channels),
        nn.ReLU(),
        nn.Linear(channels, 1),
    )


def convolutional(channels: int, height: int, width: int) -> nn.Sequential:
    """A convolution, batch norm and a fully connected layer.

    Declared: 3x3 to C channels, height and width kept, and a ReLU after the norm, without which little would tell
    it from the linear network.
    """
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * height * width, 1),
    )


NETWORKS = {"linear": linear, "two-layer": two_layer, "convolutional": convolutional}
