"""CHAIN, in its batch form: D's convolutions are followed by a soft normalisation that cannot steepen D (Ni 2024).

Formulas and settings are those of the authors' FastGAN (MaxwellYaoNi/CHAIN@f6ec3ad, FastGANDBig, `chain_batch`), not
compared with the paper's text. Their other form keeps running statistics of real images, of generated ones and of those
for G, with a backward pass of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import UserError
from bench.networks.interface import CountsMacs, HasBlocks
from bench.train import Batch, Context, DStep, Logged, Method

from .common.adaptive_p import move

DECAY = 0.9  # of the running mean of r_t
EPSILON = 1e-8  # below the root of psi (declared)


class Chain(Method):
    """Every convolution x of D's blocks, shortcuts included, gives (1 - M) x + M min_c(psi_c) x / psi, see `softened`.

    psi_c = sqrt(mean x_c^2) of channel c over batch and places, M is 0 or 1 for each image and channel, 1 with
    probability p. D judges real and generated images in calls of their own. D's loss has the term weight * (p + least)
    * sum over convolutions and channels of (mean x_c)^2, over its call for real and its call for generated images;
    G's update has the normalisation and no such term. p += by * sign(r - target), from 0 to 1, r being the running mean
    (0.9 old, 0.1 new, from 0) of the mean sign of D's logits of real images, once a step after a start.

    weight, least: lambda, 20, and lambda_0, 0 (0.1 for the smallest sets, shells and skulls). target: tau. by: 0.001,
    of 100,000 steps; shorter runs set more. start_share: of the run's steps, 5,000 of those. first_block: declared:
    D.blocks[0], which reads the image, stays as it is; the code names its blocks 1 to 5. Where D is only looked at (in
    evaluation mode) M is p.
    D without batch norms: the normalisation takes their place (the code's D has none of FastGAN's).
    """

    in_graphs = True
    splits = "its statistics are those of one card's images"
    papers = (
        (
            "Ni and Koniusz",
            2024,
            "CHAIN: Enhancing Generalization in Data-Efficient GANs via lipsCHitz continuity constrAIned Normalization",
            "arXiv:2404.00521",
        ),
    )

    def __init__(
        self,
        *,
        weight: float = 20.0,
        least: float = 0.0,
        target: float = 0.5,
        by: float = 0.001,
        start_share: float = 0.05,
        first_block: int = 1,
    ) -> None:
        for name, value in {"weight": weight, "least": least, "by": by, "first_block": first_block}.items():
            if value < 0:
                raise UserError(f"method 'chain': {name} is {value}, must be 0 or more")
        if not 0 <= start_share < 1:
            raise UserError(f"method 'chain': start_share is {start_share}, must be 0 or more and below 1")
        self.weight, self.least = weight, least
        self.target = target
        self.by = by
        self.start_share = start_share
        self.first_block = first_block
        # On the run's device from `prepare` on, in float64: nothing here waits for a GPU.
        self.p = torch.zeros((), dtype=torch.float64)
        self.r_t = torch.zeros((), dtype=torch.float64)
        self._means: dict[int, list[Tensor]] | None = None  # of D's update: by convolution, a sum of squares a call

    def prepare(self, ctx: Context) -> None:
        _, discriminator = ctx.networks()
        if ctx.train.compile:
            raise UserError(
                "method 'chain' draws numbers between D's layers, which cannot be compiled; leave compile out"
            )
        for number, layer in enumerate(convolutions(discriminator, self.first_block)):
            # A function and not a method: a copy of D, with its hooks, calls this part and not a copy of it
            layer.register_forward_hook(_after(partial(self._chained, ctx, number)))
        discriminator.batch_statistics = True  # type: ignore[assignment]
        self.p, self.r_t = self.p.to(ctx.device), self.r_t.to(ctx.device)

    def reals(self, ctx: Context, batch: Batch, images_NCHW: Tensor) -> Tensor:
        """An update of D begins here: the statistics of its calls are kept from here on."""
        self._means = {}
        return images_NCHW

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        kept, self._means = self._means or {}, None
        # The first two calls are those for the real and for the generated images; other parts may have made more
        means = [mean for calls in kept.values() for mean in calls[:2]]
        if not means or not self.weight:
            return {}
        return {"zero_mean": (self.weight * (self.p + self.least)).float() * torch.stack(means).sum()}

    def after_step(self, ctx: Context) -> Logged:
        if ctx.step >= round(self.start_share * ctx.train.steps):
            self.r_t.lerp_(torch.cat(ctx.real_logits).sign().double().mean(), 1 - DECAY)
            move(self.p, self.r_t, self.target, self.by, 1.0)
        return {"p": self.p.clone(), "r_t": self.r_t.clone()}

    def _chained(self, ctx: Context, number: int, layer: nn.Module, x_NCHW: Tensor) -> Tensor:
        learns = next(layer.parameters()).requires_grad and torch.is_grad_enabled()
        if self._means is not None and learns:
            self._means.setdefault(number, []).append(_exact(x_NCHW).mean(dim=(0, 2, 3)).square().sum())
        if not layer.training:
            return softened(x_NCHW, self.p.to(x_NCHW.dtype))
        count, channels = x_NCHW.shape[:2]
        drawn_NC = ctx.numbers("chain", number).uniform(count, channels)
        return softened(x_NCHW, (drawn_NC < self.p).to(x_NCHW.dtype)[:, :, None, None])

    def state_dict(self) -> dict[str, Any]:
        return {"p": float(self.p), "r_t": float(self.r_t)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p.fill_(state["p"])
        self.r_t.fill_(state["r_t"])


def softened(x_NCHW: Tensor, mask: Tensor) -> Tensor:
    """(1 - M) x + M min_c(psi_c) x / psi, psi_c = sqrt(mean over N, H, W of x_c^2 + 1e-8); M (N, C, 1, 1) or a scalar.

    No gradient passes through the minimum. A channel keeps its direction, and none grows: min psi / psi is 1 at most.
    """
    psi = (_exact(x_NCHW).square().mean(dim=(0, 2, 3), keepdim=True) + EPSILON).sqrt()  # (1, C, 1, 1)
    scale = (psi.detach().min() / psi).to(x_NCHW.dtype)
    return x_NCHW * (1 - mask + mask * scale)


def _exact(x_NCHW: Tensor) -> Tensor:
    """In float32 at least: squares underflow in half precision."""
    return x_NCHW.to(torch.promote_types(x_NCHW.dtype, torch.float32))


def convolutions(discriminator: nn.Module, first_block: int) -> list[nn.Module]:
    """The convolutions of D's blocks from `first_block` on, shortcuts included, in order; none of an attention.

    Raises UserError for a D without such blocks, and for one whose blocks have batch norms.
    """
    blocks = list(discriminator.blocks) if isinstance(discriminator, HasBlocks) else []
    if first_block >= len(blocks):
        raise UserError(
            f"method 'chain': first_block is {first_block}, and this discriminator has {len(blocks)} blocks; it must "
            "be below that"
        )
    if any(isinstance(module, _BatchNorm) for module in discriminator.modules()):
        raise UserError("method 'chain': this discriminator has batch norms, which it would take the place of")
    return [
        module
        for block in blocks[first_block:]
        for name, module in block.named_modules()
        if _is_convolution(module) and "attention" not in name.split(".")
    ]


def _is_convolution(module: nn.Module) -> bool:
    """StyleGAN's scale their weights in every call, and are no torch convolutions."""
    return isinstance(module, nn.Conv2d) or (isinstance(module, CountsMacs) and cast(Tensor, module.weight).ndim == 4)


def _after(chained: Callable[[nn.Module, Tensor], Tensor]) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda layer, _, output: chained(layer, output)
