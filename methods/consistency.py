"""CR and bCR: D's logit should not change when its image is shifted or mirrored (Zhang et al. 2020; Zhao et al. 2020).

CR (Zhang et al. 2020, algorithm 1) adds weight * mean (D(x) - D(T(x)))^2 over the real images to D's loss; balanced CR
(Zhao et al. 2020, algorithm 1) adds the same over generated images. T only appears in these terms: D's
adversarial loss and the generator's loss see no T, which is how CR differs from augmentation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.errors import UserError
from bench.train import Context, DStep, Method

from .common.consistency import penalty
from .diffaugment import translate


class Consistency(Method):
    """CR by default; bCR with `fake_weight: 10`.

    weight, fake_weight: of the term over real and over generated images (CR-GAN: 10; bCR: 10 and 10).
    shift: largest shift in pixels, up, down, left and right (LT-GAN, appendix: 4). flip: probability of
    mirroring. x is what D was trained on in this update: beside an augmentation, T comes on top of it.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Zhang et al.", 2020, "Consistency Regularization for Generative Adversarial Networks", "arXiv:1910.12027"),
        ("Zhao et al.", 2020, "Improved Consistency Regularization for GANs", "arXiv:2002.04724"),
    )

    def __init__(self, *, weight: float = 10.0, fake_weight: float = 0.0, shift: int = 4, flip: float = 0.5) -> None:
        for name, value in {"weight": weight, "fake_weight": fake_weight, "shift": shift}.items():
            if value < 0:
                raise UserError(f"method 'consistency': {name} is {value}, must be 0 or more")
        if not 0 <= flip <= 1:
            raise UserError(f"method 'consistency': flip is {flip}, must be a probability, 0 to 1")
        self.weight = weight
        self.fake_weight = fake_weight
        self.shift = shift
        self.flip = flip

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        terms = {
            "real": (self.weight, step.real_NCHW, step.real_logits_N),
            "fake": (self.fake_weight, step.fake_NCHW, step.fake_logits_N),
        }
        losses = {}
        for name, (weight, images_NCHW, logits_N) in terms.items():
            if weight > 0:
                moved_NCHW = self.transform(ctx, images_NCHW)
                losses[name] = penalty(weight, logits_N, step.discriminate(moved_NCHW, step.condition_NK))
        return losses

    def transform(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        """T: each image mirrored with probability `flip`, then moved by whole pixels, zeros where it has left."""
        numbers, count = ctx.numbers("consistency"), ctx.whole(len(images_NCHW))
        mirror_N = ctx.own(numbers.uniform(count)) < self.flip
        down_N, right_N = ctx.own(numbers.integers(-self.shift, self.shift + 1, 2, count), dim=1)
        return translate(mirrored(images_NCHW, mirror_N), down_N, right_N)


def mirrored(images_NCHW: Tensor, mirror_N: Tensor) -> Tensor:
    """Left and right swapped in the images whose entry of the boolean `mirror_N` (N,) is true."""
    return torch.where(mirror_N[:, None, None, None], images_NCHW.flip(3), images_NCHW)
