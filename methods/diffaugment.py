"""DiffAugment: augmentation of all that D sees, with consistency regularisation (Zhao et al. 2020).

Each operation takes its random parameters as arguments, one per image, so that it is a plain function.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.contract.numbers import Numbers
from bench.errors import UserError, did_you_mean
from bench.train import Context, DStep, Method

from .common.consistency import penalty

TRANSLATION = 0.125  # largest shift, a share of the side
CUTOUT = 0.5  # side of the cut square, a share of the side


class DiffAugment(Method):
    """The policy's groups in their given order, always applied, to all images in all updates.

    policy: any of color, translation, cutout, separated by commas.
    consistency: weight of mean (D(x) - D(T(x)))^2 over the real images (Zhang et al. 2020; 10 in DISP, appendix A).
    The clean x (what parts show as real, before any augmentation) is compared with the T(x) that D was trained on in
    this update, as DiffAugment's code does where data are few (20 % and 10 % of CIFAR). With all of CIFAR it compares
    D(T(x)) with D(T'(T(x))), T' a flip and a shift: `diffaugment(consistency=0) + consistency`. 0 leaves the term out.
    """

    in_graphs = True
    splits = True
    papers = (
        ("Zhao et al.", 2020, "Differentiable Augmentation for Data-Efficient GAN Training", "arXiv:2006.10738"),
        ("Zhang et al.", 2020, "Consistency Regularization for Generative Adversarial Networks", "arXiv:1910.12027"),
    )

    def __init__(self, *, policy: str = "color,translation,cutout", consistency: float = 10.0) -> None:
        self.groups = [name.strip() for name in policy.split(",") if name.strip()]
        for name in self.groups:
            if name not in _GROUPS:
                raise UserError(f"method 'diffaugment': unknown policy group '{name}'; {did_you_mean(name, _GROUPS)}")
        if consistency < 0:
            raise UserError(f"method 'diffaugment': consistency is {consistency}, must be 0 or more")
        self.consistency = consistency

    def augment(self, ctx: Context, images_NCHW: Tensor) -> Tensor:
        numbers = ctx.numbers("diffaugment")
        for name in self.groups:
            draw, apply = _GROUPS[name]
            draws_PN = ctx.own(draw(images_NCHW, ctx.whole(len(images_NCHW)), numbers), dim=1)
            images_NCHW = apply(images_NCHW, draws_PN)
            ctx.draws[f"{name}_{len(draws_PN)}N"] = draws_PN
        return images_NCHW

    def d_loss(self, ctx: Context, step: DStep) -> dict[str, Tensor]:
        if self.consistency == 0:
            return {}
        clean_N = step.discriminate(step.raw_NCHW, step.condition_NK)
        return {"consistency": penalty(self.consistency, clean_N, step.real_logits_N)}


def brightness(x_NCHW: Tensor, shift_N: Tensor) -> Tensor:
    """x + shift."""
    return x_NCHW + shift_N[:, None, None, None]


def saturation(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Distance of each channel from its pixel's mean, times factor."""
    mean = x_NCHW.mean(dim=1, keepdim=True)  # (N, 1, H, W)
    return (x_NCHW - mean) * factor_N[:, None, None, None] + mean


def contrast(x_NCHW: Tensor, factor_N: Tensor) -> Tensor:
    """Distance of each value from its image's mean, times factor."""
    mean = x_NCHW.mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    return (x_NCHW - mean) * factor_N[:, None, None, None] + mean


def translate(x_NCHW: Tensor, down_N: Tensor, right_N: Tensor) -> Tensor:
    """The image moved by whole pixels, with zeros where nothing is left of it."""
    count, _, height, width = x_NCHW.shape
    row_NH = torch.arange(height, device=x_NCHW.device) - down_N[:, None]
    column_NW = torch.arange(width, device=x_NCHW.device) - right_N[:, None]
    inside_NH = (row_NH >= 0) & (row_NH < height)
    inside_NW = (column_NW >= 0) & (column_NW < width)
    image_N = torch.arange(count, device=x_NCHW.device)
    moved_NHWC = x_NCHW.permute(0, 2, 3, 1)[
        image_N[:, None, None],
        row_NH.clamp(0, height - 1)[:, :, None],
        column_NW.clamp(0, width - 1)[:, None, :],
    ]
    inside_NHW = inside_NH[:, :, None] & inside_NW[:, None, :]
    return moved_NHWC.permute(0, 3, 1, 2) * inside_NHW[:, None].to(x_NCHW.dtype)


def cutout(x_NCHW: Tensor, row_N: Tensor, column_N: Tensor) -> Tensor:
    """A square of half the side, centred at (row, column), set to 0; it may hang over the edge."""
    _, _, height, width = x_NCHW.shape
    cut_NH = _covers(row_N, height)
    cut_NW = _covers(column_N, width)
    keep_NHW = ~(cut_NH[:, :, None] & cut_NW[:, None, :])
    return x_NCHW * keep_NHW[:, None].to(x_NCHW.dtype)


def cutout_size(side: int) -> int:
    """Pixels of the cut square along an axis of `side` pixels."""
    return int(side * CUTOUT + 0.5)


def _covers(centre_N: Tensor, side: int) -> Tensor:
    size = cutout_size(side)
    start = centre_N[:, None] - size // 2  # (N, 1)
    place_S = torch.arange(side, device=centre_N.device)
    return (place_S >= start) & (place_S < start + size)


def _draw_color(x_NCHW: Tensor, count: int, numbers: Numbers) -> Tensor:
    """Brightness, saturation and contrast in U(0, 1): (3, N)."""
    return numbers.uniform(3, count)


def _color(x_NCHW: Tensor, draws_PN: Tensor) -> Tensor:
    x_NCHW = brightness(x_NCHW, draws_PN[0] - 0.5)
    x_NCHW = saturation(x_NCHW, draws_PN[1] * 2)
    return contrast(x_NCHW, draws_PN[2] + 0.5)


def _draw_translation(x_NCHW: Tensor, count: int, numbers: Numbers) -> Tensor:
    """Whole pixels down and to the right: (2, N)."""
    shifts = []
    for side in x_NCHW.shape[2:]:
        furthest = int(side * TRANSLATION + 0.5)
        shifts.append(numbers.integers(-furthest, furthest + 1, count))
    return torch.stack(shifts)


def _draw_cutout(x_NCHW: Tensor, count: int, numbers: Numbers) -> Tensor:
    """Row and column of the cut square's centre: (2, N)."""
    centres = []
    for side in x_NCHW.shape[2:]:
        end = side + 1 - cutout_size(side) % 2
        centres.append(numbers.integers(0, end, count))
    return torch.stack(centres)


# How each group draws its parameters (P, N), and how it applies them
_GROUPS: dict[str, tuple[Callable[[Tensor, int, Numbers], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "color": (_draw_color, _color),
    "translation": (_draw_translation, lambda x_NCHW, draws_PN: translate(x_NCHW, *draws_PN)),
    "cutout": (_draw_cutout, lambda x_NCHW, draws_PN: cutout(x_NCHW, *draws_PN)),
}
