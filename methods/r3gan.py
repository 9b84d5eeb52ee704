"""R3GAN's loss: a relativistic pairing loss with R1 and R2 (Huang et al. 2024; Jolicoeur-Martineau 2019).

D learns that each real image is more real than the generated one beside it, softplus(-(D(x) - D(G(z)))), G the
opposite; R1 and R2 penalise D's gradient at real and at generated images. Settings are those of the published code,
brownvc/R3GAN. This is the loss alone: R3GAN's networks and its schedules of rates, augmentation and averages are not
part of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from bench.errors import UserError
from bench.train import Context, DStep, GStep, Logged, Method

from .r1 import augmenting, gradient_factor, squares_in_training


class R3GAN(Method):
    """D: E softplus(-(r - f)) + gamma / 2 (E |grad D(x)|^2 + E |grad D(G(z))|^2). G: E softplus(-(f - r)).

    r and f are D's logits of the real and of the generated image at the same place of the batch. They replace the
    table's loss (`train.loss`). Gradients are with respect to the images before augmentation, as in the published code.
    gamma, gamma_end, burn_in_kimg: gamma falls to gamma_end along half a cosine while D sees the first burn_in_kimg
    thousand real images. Published: 0.05 to 0.005 on CIFAR-10, 2 to 0.2 on FFHQ at 64 px, 150 to 15 at 256 px, 20,000
    thousand images. null: gamma stays (declared, for short runs).
    """

    in_graphs = True
    splits = True
    papers = (
        ("Huang et al.", 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN", "arXiv:2501.05441"),
        (
            "Jolicoeur-Martineau",
            2019,
            "The relativistic discriminator: a key element missing from standard GAN",
            "arXiv:1807.00734",
        ),
    )

    def __init__(self, *, gamma: float = 0.05, gamma_end: float | None = None, burn_in_kimg: float = 20000.0) -> None:
        for name, value in {"gamma": gamma, "gamma_end": gamma if gamma_end is None else gamma_end}.items():
            if value < 0:
                raise UserError(f"method 'r3gan': {name} is {value}, must be 0 or more")
        if burn_in_kimg <= 0:
            raise UserError(f"method 'r3gan': burn_in_kimg is {burn_in_kimg}, must be above 0")
        self.gamma = gamma
        self.gamma_end = gamma if gamma_end is None else gamma_end
        self.burn_in_kimg = burn_in_kimg
        self.now = torch.zeros(())  # this step's gamma, on the run's device from `prepare` on

    def prepare(self, ctx: Context) -> None:
        self.now = self.now.to(ctx.device)

    def begin_step(self, ctx: Context) -> None:
        seen = ctx.step * ctx.train.d_steps * ctx.train.batch
        done = min(1.0, seen / (1000 * self.burn_in_kimg))
        self.now.fill_(self.gamma_end + (self.gamma - self.gamma_end) * (1 + math.cos(math.pi * done)) / 2)

    def d_adversarial(self, ctx: Context, step: DStep) -> Tensor:
        return functional.softplus(step.fake_logits_N - step.real_logits_N).mean()

    def g_adversarial(self, ctx: Context, step: GStep) -> Tensor:
        return functional.softplus(step.real_logits() - step.logits_N).mean()

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if self.gamma == self.gamma_end == 0:
            return {}
        factor = gradient_factor(ctx.discriminator)
        terms = {}
        for name, images_NCHW, augmentation in (
            ("r1", step.raw_NCHW, step.real_augmentation),
            ("r2", step.raw_fake_NCHW, step.fake_augmentation),
        ):
            discriminate = augmenting(step.discriminate, augmentation)
            squares_N = squares_in_training(ctx, discriminate, images_NCHW, step.condition_NK)
            terms[name] = self.now / 2 * factor * squares_N.mean()
        return terms

    def after_step(self, ctx: Context) -> Logged:
        return {"gamma": self.now.clone()}
