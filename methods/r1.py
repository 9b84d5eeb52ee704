"""R1: a penalty on D's gradient at real images, optionally on every few steps only (Mescheder et al. 2018, Eq 9).

The lazy form is StyleGAN2's (Karras et al. 2020, section 3.1): every k-th step, k times as heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.errors import UserError, did_you_mean
from bench.networks.common.compiled import as_written
from bench.networks.interface import ScalesGradients
from bench.train import Context, DStep, Method

from .common.gradients import gradients

Discriminate = Callable[[Tensor, Tensor | None], Tensor]
POINTS = ("augmented", "raw")


class R1(Method):
    """Adds gamma / 2 * E |grad_x D(x)|^2 over the real images to D's loss.

    gamma: StyleGAN2's low-shot runs in DiffAugment's code 10, its CIFAR runs 0.1, ADA's 0.01; StyleGAN 10.
    every: the term is computed at every `every`-th step only, and weighs `every` times as much there (StyleGAN2 16,
    low-shot 1). Declared: it joins the adversarial loss of that step's updates, where StyleGAN2 makes a separate
    update. Rates and betas stay the run's (StyleGAN2 scales them by k / (k + 1)).
    point: x. "augmented", the image as D saw it: grad_x D(x) at x = T(x0) (DiffAugment's StyleGAN2 on CIFAR,
    ns_r1_DiffAugment); "raw", the image before augmentation: the gradient of D(T(x0)) with respect to x0, with this
    update's own T (DiffAugment's low-shot StyleGAN2, ns_DiffAugment_r1, and ADA). The same without an augmentation.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Mescheder et al.", 2018, "Which Training Methods for GANs do actually Converge?", "arXiv:1801.04406"),
        ("Karras et al.", 2020, "Analyzing and Improving the Image Quality of StyleGAN", "arXiv:1912.04958"),
    )

    later: ClassVar[tuple[str, ...]] = ("point",)

    def __init__(self, *, gamma: float = 10.0, every: int = 1, point: str = "augmented") -> None:
        if gamma <= 0:
            raise UserError(f"method 'r1': gamma is {gamma}, must be above 0")
        if every < 1:
            raise UserError(f"method 'r1': every is {every}, must be 1 or more steps")
        if point not in POINTS:
            raise UserError(f"method 'r1': unknown point '{point}'; {did_you_mean(point, POINTS)}")
        self.gamma = gamma
        self.every = every
        self.point = point

    def variant(self, ctx: Context) -> Hashable:
        return ctx.step % self.every == 0

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if ctx.step % self.every:
            return {}
        if self.point == "raw":
            discriminate, images_NCHW = augmenting(step.discriminate, step.real_augmentation), step.raw_NCHW
        else:
            discriminate, images_NCHW = step.discriminate, step.real_NCHW
        squares_N = squares_in_training(ctx, discriminate, images_NCHW, step.condition_NK)
        return {"penalty": self.every * self.gamma / 2 * gradient_factor(ctx.discriminator) * squares_N.mean()}


def augmenting(discriminate: Discriminate, augmentation: Callable[[Tensor], Tensor]) -> Discriminate:
    """D after the augmentation that this update has drawn for its images."""
    return lambda images_NCHW, condition_NK: discriminate(augmentation(images_NCHW), condition_NK)


def gradient_factor(discriminator: nn.Module | None) -> float:
    """What squared gradients are to be multiplied by.

    A growing D spreads the gradient of one of its pixels over many of the image's: `gradient_factor` of them.
    """
    return discriminator.gradient_factor if isinstance(discriminator, ScalesGradients) else 1


def squares_in_training(
    ctx: Context, discriminate: Discriminate, images_NCHW: Tensor, condition_NK: Tensor | None
) -> Tensor:
    """`squared_gradients` (N,) of the run's D, in full precision: squares of gradients underflow in half."""
    with torch.autocast(ctx.device.type, enabled=False), as_written(compiled=ctx.train.compile):
        return squared_gradients(discriminate, images_NCHW, condition_NK)


def squared_gradients(discriminate: Discriminate, images_NCHW: Tensor, condition_NK: Tensor | None) -> Tensor:
    """|grad_x D(x)|^2 of each image, (N,), itself differentiable in D's parameters.

    See `gradients`.
    """
    return gradients(discriminate, images_NCHW, condition_NK).square().sum(dim=(1, 2, 3))
