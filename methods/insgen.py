"""InsGen: D also tells every image, real or generated, from every other, and G makes them differ (Yang et al. 2021).

Terms and settings are those of the authors' code (genforce/insgen@2696694), not compared with the paper's text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.train import Context, DStep, GStep, Method

from .common import contrast
from .common.penultimate import penultimate

NAME = "insgen"
TEMPERATURE = 0.2


class InsGen(Method):
    """InfoNCE (`contrast.info_nce`, temperature 0.2) of two heads on D_f, one for real and one for generated images.

    D's loss: real_weight * that of T(x) against T'(x), and fake_weight * that of T(G(z)) against T'(G(z + e)), e ~ N(0,
    sigma^2). G's loss: g_weight * that of T(G(z)) against T'(G(z)), with D, heads and queue frozen. T' is T as it was
    drawn for the next image of the batch. Without an augmentation the two views of a real image are one and the same:
    the code takes ADA, and asks for some.

    momentum: of the slow copy of D and of its heads; both move once a step (declared: in the code a head's copy moves
    whenever it is called, the generated images' twice as fast). Its spectral norms and statistics are D's.
    queue: keys of each queue; null: 5 % of the training images, twice that with mirrored ones. Of few images that would
    be 5 of 100, fewer than a batch: declared, at least 32, and at most half as many as there are images.
    The heads learn at D's rate, by D's Adam (the code's have their own of D's and of G's settings, which are equal).
    """

    in_graphs = True
    splits = "the second view of an image has the augmentation of the next one, which may be another card's"
    papers = (
        ("Yang et al.", 2021, "Data-Efficient Instance Generation from Instance Discrimination", "arXiv:2106.04566"),
        (
            "He et al.",
            2020,
            "Momentum Contrast for Unsupervised Visual Representation Learning",
            "arXiv:1911.05722",
        ),
    )

    def __init__(
        self,
        *,
        real_weight: float = 1.0,
        fake_weight: float = 1.0,
        g_weight: float = 0.1,
        sigma: float = 0.15,
        momentum: float = 0.999,
        queue: int | None = None,
    ) -> None:
        weights = {"real_weight": real_weight, "fake_weight": fake_weight, "g_weight": g_weight}
        contrast.check(NAME, weights, sigma, momentum, queue)
        if real_weight == fake_weight == 0:
            raise UserError("method 'insgen': real_weight and fake_weight are 0, and nothing would be learnt")
        self.real_weight, self.fake_weight, self.g_weight = real_weight, fake_weight, g_weight
        self.sigma = sigma
        self.momentum = momentum
        self.length = queue
        self.real_RD = self.fake_RD = torch.zeros(0, contrast.WIDTH)  # keys of real and of generated images
        self.slow: nn.Module | None = None

    def prepare(self, ctx: Context) -> None:
        contrast.refuse_single_images(NAME, ctx)
        _, discriminator = ctx.networks()
        penultimate(NAME, discriminator)
        for name in ("real", "fake"):
            contrast.attach_head(ctx, NAME, name)
        self.slow = contrast.slow_copy(discriminator)
        length = contrast.queue_length(ctx, self.length)
        self.real_RD, self.fake_RD = (contrast.first_keys(ctx, NAME, name, length) for name in ("real", "fake"))

    def begin_step(self, ctx: Context) -> None:
        _, discriminator = ctx.networks()
        assert self.slow is not None
        # Before the first step the copy is D, whatever later parts have loaded into it
        contrast.follow(self.slow, discriminator, self.momentum if ctx.step else 0.0)

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        losses = {}
        if self.real_weight:
            twin_NCHW = contrast.other_view(step.real_augmentation, step.raw_NCHW)
            losses["real"] = self.real_weight * self._learnt(ctx, "real", self.real_RD, step.real_NCHW, twin_NCHW)
        if self.fake_weight:
            near_NCHW = contrast.near_images(ctx, NAME, step.z_NZ, step.g_condition_NK, self.sigma)
            twin_NCHW = contrast.other_view(step.fake_augmentation, near_NCHW)
            losses["fake"] = self.fake_weight * self._learnt(ctx, "fake", self.fake_RD, step.fake_NCHW, twin_NCHW)
        return losses

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if not (self.fake_weight and self.g_weight):
            return {}
        seen_NCHW = step.augmentation(step.images_NCHW)
        twin_NCHW = contrast.other_view(step.augmentation, step.images_NCHW.detach())
        query_ND, key_ND = self._pair(ctx, "fake", seen_NCHW, twin_NCHW)
        return {"diverse": self.g_weight * contrast.info_nce(query_ND, key_ND, self.fake_RD, TEMPERATURE)}

    def _learnt(self, ctx: Context, name: str, queue_RD: Tensor, seen_NCHW: Tensor, twin_NCHW: Tensor) -> Tensor:
        """The loss against the queue as it is, which the new keys then enter."""
        query_ND, key_ND = self._pair(ctx, name, seen_NCHW, twin_NCHW)
        loss = contrast.info_nce(query_ND, key_ND, queue_RD, TEMPERATURE)
        contrast.push(queue_RD, key_ND)
        return loss

    def _pair(self, ctx: Context, name: str, seen_NCHW: Tensor, twin_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        _, discriminator = ctx.networks()
        assert self.slow is not None
        with torch.no_grad():
            key_ND = contrast.answers(NAME, name, self.slow, twin_NCHW)
        return contrast.answers(NAME, name, discriminator, seen_NCHW), key_ND

    def state_dict(self) -> dict[str, Any]:
        assert self.slow is not None
        return {"slow": self.slow.state_dict(), "real": self.real_RD, "fake": self.fake_RD}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert self.slow is not None
        self.slow.load_state_dict(state["slow"])
        self.real_RD.copy_(state["real"])
        self.fake_RD.copy_(state["fake"])
