"""Top-k training: G learns only from the generated images that D takes for the most real (Sinha et al. 2020).

Of the B images of an update of G, those with the k highest logits count, the others give no gradient. k falls from B,
with every pass over the training images by a factor gamma, and not below nu B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import UserError
from bench.train import Context, GStep, Logged, Method


class TopK(Method):
    """k = max(gamma^epoch * B, nu * B), rounded down, but at least 1; G's loss is the mean over the k images.

    gamma, nu: 0.99 and 0.5 (the paper's, as PyTorch-StudioGAN has them). On few images an epoch is short: of 100 images
    at batch 16 it is 6 updates of D, and after 69 of them k is B / 2.

    Declared: an epoch is one pass of D over the run's training images. An image of several patches is ranked by its
    mean logit. With micro-batches, the k best are those of a micro-batch.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Sinha et al.",
            2020,
            "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples",
            "arXiv:2002.06224",
        ),
    )

    def __init__(self, *, gamma: float = 0.99, nu: float = 0.5) -> None:
        for name, value in {"gamma": gamma, "nu": nu}.items():
            if not 0 < value <= 1:
                raise UserError(f"method 'top-k': {name} is {value}, must be above 0 and at most 1")
        self.gamma = gamma
        self.nu = nu
        self.share = torch.ones((), dtype=torch.float64)  # of the images, k / B; on the run's device from `prepare` on

    def prepare(self, ctx: Context) -> None:
        self.share = self.share.to(ctx.device)

    def begin_step(self, ctx: Context) -> None:
        epoch = ctx.step * ctx.train.d_steps * ctx.train.batch // len(ctx.images_u8_NHWC)
        self.share.fill_(max(self.gamma**epoch, self.nu))

    def g_weights(self, ctx: Context, step: GStep) -> Tensor:
        logits_N = ctx.gathered(step.logits_N.detach().reshape(len(step.logits_N), -1).mean(1))
        return ctx.own(best(logits_N, (self.share * len(logits_N)).floor().clamp(min=1)))

    def after_step(self, ctx: Context) -> Logged:
        return {"share": self.share.clone()}


def best(logits_N: Tensor, k: Tensor) -> Tensor:
    """Weights (N,) of mean 1: N / k for the k highest logits, the first of equal ones, and 0 for the others.

    k: a scalar of the logits' device, which need not be looked at.
    """
    order_N = logits_N.argsort(descending=True, stable=True)
    rank_N = torch.empty_like(order_N).scatter(0, order_N, torch.arange(len(order_N), device=order_N.device))
    return torch.where(rank_N < k, len(rank_N) / k, 0.0).to(logits_N.dtype)
