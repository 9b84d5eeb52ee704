"""Adaptive discriminator augmentation with plain bilinear sampling: ADA-lite (after Karras et al. 2020).

Kept from ADA: the sign statistic, the law and speed of p, the operations of the pipeline "bgc" with their
order, distributions and independent gates, reflected borders, and the same treatment of real and generated
images in the updates of D and G. Left out: the wavelet filters around the resampling (one bilinear lookup
instead) and the groups that bgc has switched off. Reports must therefore call it ADA-lite.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bench.contract.numbers import Numbers
from bench.train import Context, Logged, Method

from .common import affine, colour
from .common.adaptive_p import AdaptiveP


class AdaLite(Method):
    """Each operation is applied with probability p, which follows how sure D is of the real images.

    r_t = E[sign(D(real))] over the (augmented) reals of the last `interval` steps; then p moves by sign(r_t -
    target) * images / (1000 * speed_kimg), `images` being the reals that D saw in them. p starts at 0 and is
    clamped below only, as in the published code: beyond 1 the gates stay open and p needs time to come back.

    interval: in steps of the run, that is of G. ADA's own 4 are minibatches of D, of which it has one a step. Here the
    statistic is over interval * d_steps minibatches (16 in DISP's Table 1). p then moves d_steps times less often, each
    time d_steps times further, so its speed per image is ADA's.
    speed_kimg: thousands of images in which p can go from 0 to 1 (500; 100 when fine-tuning; tables of short
    runs set less).
    """

    in_graphs = True
    splits = True
    papers = (
        ("Karras et al.", 2020, "Training Generative Adversarial Networks with Limited Data", "arXiv:2006.06676"),
    )

    def __init__(self, *, target: float = 0.6, interval: int = 4, speed_kimg: float = 500.0) -> None:
        # On the run's device from `prepare` on: nothing here waits for a GPU.
        self.law = AdaptiveP("ada-lite", target=target, interval=interval, speed_kimg=speed_kimg)

    @property
    def p(self) -> Tensor:
        """The probability of each operation, a scalar on the run's device."""
        return self.law.p

    def prepare(self, ctx: Context) -> None:
        self.law.to(ctx.device)

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        if images_NCHW.device.type == "cpu" and self.p == 0:
            return images_NCHW
        numbers = ctx.numbers("ada-lite")
        count, (height, width) = ctx.whole(len(images_NCHW)), images_NCHW.shape[2:]
        ctx.draws["geometry_N33"] = matrix = ctx.own(geometry(count, height, width, self.p, numbers))  # (N, 3, 3)
        ctx.draws["colour_N44"] = mix = ctx.own(colours(count, self.p, numbers))  # (N, 4, 4)
        augmented_NCHW = colour.recolour(affine.warp(images_NCHW, matrix), mix)
        if images_NCHW.device.type == "cpu":
            return augmented_NCHW
        return torch.where(self.p > 0, augmented_NCHW, images_NCHW)  # to look at p would be to wait for the device

    def after_step(self, ctx: Context) -> Logged:
        return self.law.after_step(ctx)

    def state_dict(self) -> dict[str, Any]:
        return self.law.saved()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.law.restore(state)


def geometry(count: int, height: int, width: int, p: float | Tensor, numbers: Numbers) -> Tensor:
    """The eight geometric operations of bgc, in order, as one matrix per image (N, 3, 3), for `affine.warp`.

    There are two rotations, each with probability 1 - sqrt(1 - p), so that at least one happens with probability p.
    """
    # The draws, in a fixed order. Translations are shares of the side, angles radians.
    draw = _Draws(count, numbers)
    p_rotation = 1 - (1 - torch.as_tensor(p, dtype=torch.float64)).clamp(min=0).sqrt()
    (mirror_N,) = draw.gated(p, 1.0, 1 - 2 * draw.choice(2))
    (quarters_N,) = draw.gated(p, 0.0, draw.choice(4))
    whole_x_N, whole_y_N = draw.gated(p, 0.0, draw.uniform(0.125), draw.uniform(0.125))
    (zoom_N,) = draw.gated(p, 1.0, draw.power_of_two(0.2))
    (before_N,) = draw.gated(p_rotation, 0.0, draw.uniform(math.pi))
    (stretch_N,) = draw.gated(p, 1.0, draw.power_of_two(0.2))
    (after_N,) = draw.gated(p_rotation, 0.0, draw.uniform(math.pi))
    part_x_N, part_y_N = draw.gated(p, 0.0, draw.normal(0.125), draw.normal(0.125))

    # The operations in bgc's order, the first of them applied first.
    return _composed(
        affine.scaling(mirror_N, torch.ones_like(mirror_N)),
        affine.rotation(quarters_N * (math.pi / 2)),
        affine.translation((whole_x_N * width).round(), (whole_y_N * height).round()),
        affine.scaling(zoom_N, zoom_N),
        affine.rotation(before_N),
        affine.scaling(stretch_N, 1 / stretch_N),
        affine.rotation(after_N),
        affine.translation(part_x_N * width, part_y_N * height),
    )


def colours(count: int, p: float | Tensor, numbers: Numbers) -> Tensor:
    """The five colour operations of bgc, in order: one matrix per image (N, 4, 4), for `colour.recolour`."""
    draw = _Draws(count, numbers)
    (shift_N,) = draw.gated(p, 0.0, draw.normal(0.2))
    (contrast_N,) = draw.gated(p, 1.0, draw.power_of_two(0.5))
    (flip_N,) = draw.gated(p, 0.0, draw.choice(2))
    (angle_N,) = draw.gated(p, 0.0, draw.uniform(math.pi))
    (saturation_N,) = draw.gated(p, 1.0, draw.power_of_two(1.0))
    return _composed(
        colour.brightness(shift_N),
        colour.contrast(contrast_N),
        colour.luma_flip(flip_N),
        colour.hue(angle_N),
        colour.saturation(saturation_N),
    )


def _composed(first: Tensor, *later: Tensor) -> Tensor:
    for matrix in later:
        first = matrix @ first
    return first.to(torch.get_default_dtype())


class _Draws:
    """Random parameters (N,) of the operations, and their gates, from one stream."""

    def __init__(self, count: int, numbers: Numbers) -> None:
        self.count = count
        self.numbers = numbers

    def uniform(self, furthest: float) -> Tensor:
        """U(-furthest, furthest)."""
        return (affine.exact(self.numbers.uniform(self.count)) * 2 - 1) * furthest

    def normal(self, deviation: float) -> Tensor:
        """N(0, deviation^2)."""
        return affine.exact(self.numbers.normal(self.count)) * deviation

    def power_of_two(self, deviation: float) -> Tensor:
        """2 ** N(0, deviation^2)."""
        return torch.exp2(self.normal(deviation))

    def choice(self, options: int) -> Tensor:
        """0.0, 1.0, ... options - 1, each equally likely."""
        return affine.exact(self.numbers.integers(0, options, self.count).float())

    def gated(self, p: float | Tensor, neutral: float, *values_N: Tensor) -> list[Tensor]:
        """The values where an image's gate is open (probability p, one gate for all), else `neutral`."""
        open_N = self.numbers.uniform(self.count) < p
        return [torch.where(open_N, value_N, neutral) for value_N in values_N]
