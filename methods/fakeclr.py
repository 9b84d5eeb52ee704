"""FakeCLR: instance discrimination of perturbed generated images alone, with weighted negatives (Li et al. 2022).

Of the paper only the abstract is followed. It names three means: noise-related latent augmentation, a diversity-aware
queue, a forgetting factor. The loss is InsGen's of generated images (Yang et al. 2021), on whose code theirs is built;
what is published of the weights is the head in genforce/insgen@595d119 (contrastive_head_iteration.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.train import Context, DStep, GStep, Method

from .common import contrast
from .common.penultimate import penultimate

NAME = "fakeclr"
TEMPERATURE = 0.2


class FakeCLR(Method):
    """InfoNCE (`contrast.info_nce`) of a head on D_f: weight * that of T(G(z)) against T'(G(z + e)) in D's loss,
    g_weight * that of T(G(z)) against T'(G(z)) in G's. Views, slow copy and heads are InsGen's.

    The negative r weighs w_ir e^(t_r / 0.2), in both:

    - t, the forgetting: t = softmax_r(u_r / forgetting), u = (s / max s) / |s / max s|, s_r being the step of the key.
      Declared: norm and softmax go over the queue. In the published head they go along an axis of length one, so that
      there every t is 1, a constant, and nothing is forgotten. forgetting: 0.01 (that code); 0 for t = 0.
    - w_ir = min(1, |z_i - z_r|^2 / 2Z), declared: the form of the weights by distance was not at hand. Z is the size of
      a latent, and two of them are 2Z apart on average: images of neighbouring latents are pushed apart less.

    weight, g_weight: declared, InsGen's 1 and 0.1. sigma, momentum: InsGen's. queue: as InsGen's (declared; that
    head's default is 3,500, 5 % of FFHQ's 70,000 images).
    """

    in_graphs = True
    splits = "the second view of an image has the augmentation of the next one, which may be another card's"
    papers = (
        (
            "Li et al.",
            2022,
            "FakeCLR: Exploring Contrastive Learning for Solving Latent Discontinuity in Data-Efficient GANs",
            "arXiv:2207.08630",
        ),
    )

    def __init__(
        self,
        *,
        weight: float = 1.0,
        g_weight: float = 0.1,
        sigma: float = 0.15,
        momentum: float = 0.999,
        queue: int | None = None,
        forgetting: float = 0.01,
    ) -> None:
        contrast.check(NAME, {"weight": weight, "g_weight": g_weight}, sigma, momentum, queue)
        if forgetting < 0:
            raise UserError(f"method 'fakeclr': forgetting is {forgetting}, must be 0 or more")
        if weight == 0:
            raise UserError("method 'fakeclr': weight is 0, and the head would learn nothing; leave the part out")
        self.weight, self.g_weight = weight, g_weight
        self.sigma = sigma
        self.momentum = momentum
        self.length = queue
        self.forgetting = forgetting
        self.keys_RD = torch.zeros(0, contrast.WIDTH)
        self.latents_RZ = torch.zeros(0, 0)
        self.steps_R = torch.zeros(0)  # from 1; 0 of the keys that are there before the first step
        self.now = torch.zeros(())  # this step's number, from 1, on the run's device
        self.slow: nn.Module | None = None

    def prepare(self, ctx: Context) -> None:
        contrast.refuse_single_images(NAME, ctx)
        generator, discriminator = ctx.networks()
        penultimate(NAME, discriminator)
        contrast.attach_head(ctx, NAME, "fake")
        self.slow = contrast.slow_copy(discriminator)
        length = contrast.queue_length(ctx, self.length)
        self.keys_RD = contrast.first_keys(ctx, NAME, "fake", length)
        latents_RZ = torch.randn(length, generator.z_dim, generator=ctx.stream("fakeclr-queue", "latents"))
        self.latents_RZ, self.steps_R = latents_RZ.to(ctx.device), torch.zeros(length, device=ctx.device)
        self.now = torch.zeros((), device=ctx.device)

    def begin_step(self, ctx: Context) -> None:
        _, discriminator = ctx.networks()
        assert self.slow is not None
        # Before the first step the copy is D, whatever later parts have loaded into it
        contrast.follow(self.slow, discriminator, self.momentum if ctx.step else 0.0)
        self.now.fill_(ctx.step + 1)

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        near_NCHW = contrast.near_images(ctx, NAME, step.z_NZ, step.g_condition_NK, self.sigma)
        twin_NCHW = contrast.other_view(step.fake_augmentation, near_NCHW)
        loss, key_ND = self._loss(ctx, step.z_NZ, step.fake_NCHW, twin_NCHW)
        # The new keys enter the queue after the loss
        contrast.push(self.keys_RD, key_ND)
        contrast.push(self.latents_RZ, step.z_NZ)
        contrast.push(self.steps_R, self.now.expand(len(key_ND)))
        return {"fake": self.weight * loss}

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if not self.g_weight:
            return {}
        seen_NCHW = step.augmentation(step.images_NCHW)
        twin_NCHW = contrast.other_view(step.augmentation, step.images_NCHW.detach())
        loss, _ = self._loss(ctx, step.z_NZ, seen_NCHW, twin_NCHW)
        return {"diverse": self.g_weight * loss}

    def _loss(self, ctx: Context, z_NZ: Tensor, seen_NCHW: Tensor, twin_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """InfoNCE of the images that D saw and their twins, against the queue as it is; and the twins' keys."""
        _, discriminator = ctx.networks()
        assert self.slow is not None
        with torch.no_grad():
            key_ND = contrast.answers(NAME, "fake", self.slow, twin_NCHW)
            added_NR = distance_weights(z_NZ, self.latents_RZ).log()
            if self.forgetting:
                added_NR = added_NR + age_terms(self.steps_R, self.forgetting) / TEMPERATURE
        query_ND = contrast.answers(NAME, "fake", discriminator, seen_NCHW)
        return contrast.info_nce(query_ND, key_ND, self.keys_RD, TEMPERATURE, added_NR), key_ND

    def state_dict(self) -> dict[str, Any]:
        assert self.slow is not None
        queue = {"keys": self.keys_RD, "latents": self.latents_RZ, "steps": self.steps_R}
        return {"slow": self.slow.state_dict(), **queue}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert self.slow is not None
        self.slow.load_state_dict(state["slow"])
        for name, kept in {"keys": self.keys_RD, "latents": self.latents_RZ, "steps": self.steps_R}.items():
            kept.copy_(state[name])


def distance_weights(z_NZ: Tensor, other_RZ: Tensor) -> Tensor:
    """w (N, R) = min(1, |z_i - z_r|^2 / 2Z), in (0, 1]."""
    return (torch.cdist(z_NZ, other_RZ).square() / (2 * z_NZ.shape[1])).clamp(1e-6, 1)


def age_terms(steps_R: Tensor, temperature: float) -> Tensor:
    """t (R,), which add up to 1: softmax over the queue of the steps of its keys, scaled to a maximum of 1, then to a
    vector of length 1, over a temperature.
    """
    scaled_R = steps_R / steps_R.max().clamp(min=1)
    return (scaled_R / scaled_R.norm().clamp(min=1e-12) / temperature).softmax(dim=0)
