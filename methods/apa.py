"""APA: some of the images that D is shown as real are generated ones, so that it cannot know the few by heart.

Adaptive pseudo augmentation (Jiang et al. 2021): each real image of a batch is replaced with probability p by an image
of G, before any augmentation and without a gradient to G. p follows the signs of D's logits of what it was shown as
real, by ADA's rule. Settings are those of the published code, EndlessSora/DeceiveD (training/loss.py).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.networks.common import noise
from bench.networks.interface import has_two_scales
from bench.train import Batch, Context, Logged, Method

from .common.adaptive_p import AdaptiveP


class Apa(Method):
    """D sees G(z) in place of x with probability p, and calls it real.

    target: of E[sign D(real)] (0.6; the paper's anime faces 0.8). interval, speed_kimg: every `interval` steps p moves
    by the images that D has seen in them / (1000 * speed_kimg), 4 and 500 in the published code; see `AdaptiveP`. p
    starts at 0 and is clamped below only, as there: beyond 1 all images are replaced and p needs time to come back.

    Declared: the images are G's of latents of their own, where the published code takes those of G's last update, for
    every update of D until the next. They are of the replaced images' conditions, which the published code gives to D
    beside images of other ones.
    """

    in_graphs = True
    splits = True
    papers = (
        (
            "Jiang et al.",
            2021,
            "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data",
            "arXiv:2111.06849",
        ),
    )

    def __init__(self, *, target: float = 0.6, interval: int = 4, speed_kimg: float = 500.0) -> None:
        self.law = AdaptiveP("apa", target=target, interval=interval, speed_kimg=speed_kimg)

    def prepare(self, ctx: Context) -> None:
        self.law.to(ctx.device)

    def reals(self, ctx: Context, batch: Batch, images_NCHW: Tensor) -> Tensor:
        # Also at p = 0: what a pass does to batch norm's averages, and what a recorded step does, is the same at any p.
        generator, _ = ctx.networks()
        numbers = ctx.numbers("apa")
        count = ctx.whole(len(images_NCHW))
        z_NZ = ctx.own(numbers.normal(count, generator.z_dim))
        replaced_N = ctx.own(numbers.uniform(count)) < self.law.p
        with torch.no_grad(), noise.drawn_from(ctx.numbers("apa-noise")):
            if has_two_scales(generator):
                made_NCHW, _ = generator.both_scales(z_NZ, batch.condition_NK)
            else:
                made_NCHW = generator(z_NZ, batch.condition_NK)
        return torch.where(replaced_N[:, None, None, None], made_NCHW.to(images_NCHW.dtype), images_NCHW)

    def after_step(self, ctx: Context) -> Logged:
        return self.law.after_step(ctx)

    def state_dict(self) -> dict[str, Any]:
        return self.law.saved()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.law.restore(state)
