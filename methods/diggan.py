"""DigGAN: D's gradient at real and at generated images should have one norm (Fang et al. 2022).

The term and its settings are those of the authors' code for CIFAR (AilsaF/DigGAN@42d1ddb, DiffAugment-biggan-cifar),
not compared with the paper's text: a penalty on the gap of the two norms, in the first of D's updates.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.networks.common.compiled import as_written
from bench.train import Context, DStep, Method

from .common.gradients import gradients

NEW = 0.5  # what the norms of this step weigh in the averages that the penalty compares


class DigGAN(Method):
    """Adds weight * mean_i (f_i - r_i)^2 to the loss of D's first update of a step; the later ones have 0.

    r_i = (|grad_x D(x_i)| + r'_i) / 2 at the i-th real image of the batch, as D saw it (augmented), r' being the r of
    the step before (of the micro-batch before), without a gradient; f likewise at the generated images. In the first
    step r and f are the norms. The i-th images of two batches have nothing to do with each other: r_i is an average
    over random images.

    weight: 1,000 with DiffAugment (translation, cutout), 10,000 without an augmentation (CIFAR-10, BigGAN, 4 updates of
    D a step). The logged term is the mean over D's updates, of which all but the first have 0.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Fang et al.",
            2022,
            "DigGAN: Discriminator gradIent Gap Regularization for GAN Training with Limited Data",
            "arXiv:2211.14694",
        ),
    )

    def __init__(self, *, weight: float = 1000.0) -> None:
        if weight < 0:
            raise UserError(f"method 'diggan': weight is {weight}, must be 0 or more")
        self.weight = weight
        self.real_N = self.fake_N = self.seen = torch.zeros(())  # sized in `prepare`

    def prepare(self, ctx: Context) -> None:
        self.passes = ctx.train.batch // (ctx.train.micro_batch or ctx.train.batch)  # of an update
        count = ctx.train.batch // self.passes
        self.real_N, self.fake_N = torch.zeros(count, device=ctx.device), torch.zeros(count, device=ctx.device)
        self.seen = torch.zeros((), device=ctx.device)  # 1 once there are averages

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if not self.weight:
            return {}
        # Every pass of the step before this one has left its logits there
        if len(ctx.real_logits) >= self.passes:
            return {"gap": step.real_logits_N.new_zeros(())}
        # As in R1: squares underflow in half precision, and torch.compile has no second derivative
        with torch.autocast(ctx.device.type, enabled=False), as_written(compiled=ctx.train.compile):
            real_N, fake_N = (
                gradients(step.discriminate, images_NCHW, step.condition_NK).flatten(1).norm(dim=1)
                for images_NCHW in (step.real_NCHW, step.fake_NCHW)
            )
        real_N, fake_N = self._averaged(ctx, self.real_N, real_N), self._averaged(ctx, self.fake_N, fake_N)
        self.seen.fill_(1.0)
        return {"gap": self.weight * (fake_N - real_N).square().mean()}

    def _averaged(self, ctx: Context, average_N: Tensor, norm_N: Tensor) -> Tensor:
        """The norms averaged with those before, which they replace; the averages are of the whole pass."""
        old = (1 - NEW) * self.seen  # their weight
        now_N = (1 - old) * norm_N + old * ctx.own(average_N)
        with torch.no_grad():
            average_N.copy_(ctx.gathered(now_N))
        return now_N

    def state_dict(self) -> dict[str, Any]:
        return {"real": self.real_N, "fake": self.fake_N, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.real_N.copy_(state["real"])
        self.fake_N.copy_(state["fake"])
        self.seen.copy_(state["seen"])
