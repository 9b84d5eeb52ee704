"""LPIPS of pairs of images, as a loss that is fitted and as a distance that is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.evaluate.descent import Loss, portions
from bench.features.extractor import without_tf32
from bench.networks.common.pixels import signed_images


def reconstruction_loss(lpips: nn.Module, pool: int, squared: float) -> Loss:
    """LPIPS of images averaged over squares of `pool` pixels, plus `squared` times their mean squared error: (N,).

    It is the loss of FastGAN's released code for back-tracking, whose weight is 0.2 and whose squares are of 2.
    """

    def loss(images_NCHW: Tensor, wanted_NCHW: Tensor) -> Tensor:
        perceptual_N = lpips(F.avg_pool2d(images_NCHW, pool), F.avg_pool2d(wanted_NCHW, pool)).flatten()
        return perceptual_N + squared * (images_NCHW - wanted_NCHW).square().flatten(1).mean(1)

    return loss


@without_tf32()
@torch.no_grad()
def lpips_of(
    lpips: nn.Module,
    images_NCHW: Tensor,
    wanted_NHWC: np.ndarray,
    device: str | torch.device,
    pause: Callable[[], None] = lambda: None,
) -> Tensor:
    """LPIPS of each image in [-1, 1] and its uint8 image, (N,) float64 on the CPU."""
    values = []
    for part in _watched(portions(len(images_NCHW), images_NCHW.shape[2]), pause):
        wanted_NCHW = signed_images(wanted_NHWC[part], device)
        values.append(lpips(images_NCHW[part].to(device), wanted_NCHW).flatten().double().cpu())
    return torch.cat(values)


def _watched(parts: Iterator[slice], pause: Callable[[], None]) -> Iterator[slice]:
    for part in parts:
        pause()
        yield part
