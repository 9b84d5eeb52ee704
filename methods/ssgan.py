"""SSGAN: D also classifies how its images are rotated, and G helps it (Chen et al. 2019, section 3).

A linear head on D's penultimate features classifies turns of 0, 90, 180 and 270 degrees. D learns it on real
images alone. G is rewarded where D recognises the turns of generated ones. The adversarial loss sees upright images
only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from bench.errors import UserError, did_you_mean
from bench.networks.common.layers import linear, plain, spectral
from bench.train import Context, DStep, GStep, Method

from .common.penultimate import penultimate

TURNS = 4
HEAD = "rotation"
NORMS = ("as-discriminator", "spectral", "plain")


class Ssgan(Method):
    """Cross entropy of the four turns of the last images of each batch, for D on real, for G on generated ones.

    d_weight, g_weight: of the two terms (the paper's beta, 1.0, and alpha, 0.2). share: of the images that are
    turned, rounded down but at least one; each appears in all four turns, so that 0.25 adds as many images as the
    batch has. norm: whether the head is spectrally normalised: "as-discriminator" where any other layer of D is,
    "spectral" or "plain" whatever D is. The turned images have no augmentations of other parts (declared).
    """

    in_graphs = True
    splits = "the last images of a batch are turned, which are one card's"
    papers = (("Chen et al.", 2019, "Self-Supervised GANs via Auxiliary Rotation Loss", "arXiv:1811.11212"),)

    def __init__(
        self,
        *,
        d_weight: float = 1.0,
        g_weight: float = 0.2,
        share: float = 0.25,
        norm: str = "as-discriminator",
    ) -> None:
        for name, value in {"d_weight": d_weight, "g_weight": g_weight}.items():
            if value < 0:
                raise UserError(f"method 'ssgan': {name} is {value}, must be 0 or more")
        if not 0 < share <= 1:
            raise UserError(f"method 'ssgan': share is {share}, must be above 0 and at most 1")
        if norm not in NORMS:
            raise UserError(f"method 'ssgan': unknown norm '{norm}'; {did_you_mean(norm, NORMS)}")
        self.d_weight = d_weight
        self.g_weight = g_weight
        self.share = share
        self.norm = norm

    def prepare(self, ctx: Context) -> None:
        _, discriminator = ctx.networks()
        feature_dim = penultimate("ssgan", discriminator).feature_dim
        normalised = self.norm == "spectral" or (self.norm == "as-discriminator" and has_spectral_norm(discriminator))
        with ctx.initialised("ssgan-head"):
            head = linear(feature_dim, TURNS, spectral if normalised else plain)
        ctx.attach("discriminator", HEAD, head)

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if self.d_weight == 0:
            return {}
        return {"d_rotation": self.d_weight * self._rotation_loss(ctx, step.batch.images_NCHW)}

    def g_loss(self, ctx: Context, step: GStep) -> dict[str, Tensor]:
        if self.g_weight == 0:
            return {}
        return {"g_rotation": self.g_weight * self._rotation_loss(ctx, step.images_NCHW)}

    def _rotation_loss(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        _, discriminator = ctx.networks()
        last = max(1, int(self.share * len(images_NCHW)))
        turned_NCHW, turn_N = turns(images_NCHW[-last:])
        features_NF = penultimate("ssgan", discriminator).features(turned_NCHW)
        return functional.cross_entropy(ctx.attached("discriminator", HEAD)(features_NF).float(), turn_N)


def turns(images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """All images upright, then all a quarter turn on, and so forth: (4N, C, H, W) and their turns (4N,), 0 to 3."""
    turned = torch.cat([torch.rot90(images_NCHW, turn, dims=(2, 3)) for turn in range(TURNS)])
    which = torch.arange(TURNS, device=images_NCHW.device).repeat_interleave(len(images_NCHW))
    return turned, which


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether any layer is spectrally normalised: no layer here is parametrised otherwise."""
    return any(parametrize.is_parametrized(module) for module in network.modules())
