"""Path length regularisation of StyleGAN2's generator (Karras et al. 2020, section 3.2, Eq 4).

A step of fixed length in w should change the image by a fixed amount, whatever w and the direction: the length of
J_w^T y, with y a random image, is drawn towards its running mean a.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.common.compiled import as_written
from bench.networks.interface import Styled
from bench.train import Context, GStep, Logged, Method


class PathLength(Method):
    """Adds weight * E (|J_w^T y| - a)^2 to G's loss, on every few steps only.

    weight, every, decay, shrink: StyleGAN2's are 2, 4, 0.01 and 2. The term is computed at every `every`-th step only,
    and weighs `every` times as much there. a moves by `decay` of the way to the batch's mean before it is used, and
    the gradient flows through that move. 1 / shrink of the batch is measured.

    Declared: the first latents and conditions of the step's batch are used again, with mixing and noise of their own.
    The term joins the adversarial loss of its step, where StyleGAN2 makes a separate update. Rates and betas stay the
    run's (StyleGAN2 scales them by k / (k + 1)).
    """

    in_graphs = True
    splits = "the first images of a batch are measured, which are one card's"
    papers = (("Karras et al.", 2020, "Analyzing and Improving the Image Quality of StyleGAN", "arXiv:1912.04958"),)

    def __init__(self, *, weight: float = 2.0, every: int = 4, decay: float = 0.01, shrink: int = 2) -> None:
        if weight <= 0:
            raise UserError(f"method 'path-length': weight is {weight}, must be above 0")
        if not 0 < decay <= 1:
            raise UserError(f"method 'path-length': decay is {decay}, must be above 0 and at most 1")
        for name, value in {"every": every, "shrink": shrink}.items():
            if value < 1:
                raise UserError(f"method 'path-length': {name} is {value}, must be 1 or more")
        self.weight = weight
        self.every = every
        self.decay = decay
        self.shrink = shrink
        self.mean = torch.zeros(())

    def prepare(self, ctx: Context) -> None:
        generator, _ = ctx.networks()
        if not isinstance(generator, Styled):
            raise UserError("method 'path-length': this generator has no styles w; use a stylegan2 network")
        self.mean = self.mean.to(ctx.device, copy=True)

    def variant(self, ctx: Context) -> Hashable:
        return ctx.step % self.every == 0

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if ctx.step % self.every:
            return {}
        lengths_N = self._lengths(ctx, step)
        mean = torch.lerp(self.mean, lengths_N.mean(), self.decay)
        ctx.left.setdefault("path-length", []).append(mean.detach())
        return {"penalty": self.every * self.weight * (lengths_N - mean).square().mean()}

    def after_step(self, ctx: Context) -> Logged:
        if seen := ctx.left.get("path-length"):  # one entry for each micro-batch: a moves once a step
            self.mean.copy_(torch.stack(seen).mean())
        return {"mean": self.mean.clone()}

    def _lengths(self, ctx: Context, step: GStep) -> Tensor:
        generator, _ = ctx.networks()
        measured = max(1, len(step.z_NZ) // self.shrink)
        condition_NK = None if step.condition_NK is None else step.condition_NK[:measured]
        # Products of many small derivatives: half precision would lose them.
        with (
            noise.drawn_from(ctx.numbers("path-length-noise")),
            torch.autocast(ctx.device.type, enabled=False),
            as_written(compiled=ctx.train.compile),
        ):
            assert isinstance(generator, Styled)
            w_NLW = generator.styles(step.z_NZ[:measured], condition_NK)
            return path_lengths(generator.synthesis, w_NLW, ctx.numbers("path-length"))

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.copy_(state["mean"])


def path_lengths(synthesis: Callable[[Tensor], Tensor], w_NLW: Tensor, numbers: Numbers) -> Tensor:
    """|J_w^T y| of each image, (N,), differentiable in the synthesis network and in what made w.

    y: an image of independent N(0, 1 / (H W)) values, so that lengths do not depend on the resolution. Each of L
    layers has a w of its own; the squared length is its mean over the layers, as in the published code.
    """
    if not w_NLW.requires_grad:
        w_NLW = w_NLW.detach().requires_grad_()
    images_NCHW = synthesis(w_NLW)
    pixels = images_NCHW.shape[2] * images_NCHW.shape[3]
    y_NCHW = numbers.normal(*images_NCHW.shape).to(images_NCHW) / math.sqrt(pixels)
    (gradient_NLW,) = torch.autograd.grad((images_NCHW * y_NCHW).sum(), w_NLW, create_graph=True)
    return gradient_NLW.square().sum(dim=2).mean(dim=1).sqrt()
