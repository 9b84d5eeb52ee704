"""Resizing in front of a network, of pictures (uint8) and, differentiably, of float images.

`clean` is clean-fid's (Parmar et al. 2022, arXiv 2104.11222): antialiased, not quantised again. The others are what
older FIDs did, none of them antialiased; that paper's section 3 shows what it costs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from cleanfid.resize import build_resizer, make_resizer
from torch import Tensor

from bench.features.entry import Resize


@dataclass(frozen=True)
class Resizing:
    """One way of resizing. recipe: names it in the keys of cached features, so it changes when the pixels do.

    pixels: uint8 images (N, H, W, 3) -> float32 (N, size, size, 3) in [0, 255]. images: the same of float images
    (N, 3, H, W) in [-1, 1], differentiable. Inside-the-network resizing hands images on as they are.
    """

    recipe: str
    pixels: Callable[[np.ndarray, int], np.ndarray]
    images: Callable[[Tensor, int], Tensor]


def resize_u8(images_u8_NHWC: np.ndarray, size: int) -> np.ndarray:
    """clean-fid's antialiased bicubic filter: uint8 images (N, H, W, 3) -> float32 (N, size, size, 3) in [0, 255].

    Images that have the size already are passed on: the filter is the identity there.
    """
    if images_u8_NHWC.shape[1:3] == (size, size):
        return images_u8_NHWC.astype(np.float32)
    return _each(make_resizer("PIL", False, "bicubic", (size, size)), images_u8_NHWC, size)


def resize_float(images_NCHW: Tensor, size: int) -> Tensor:
    """Images in [-1, 1] at `size`: antialiased bicubic, clipped to [-1, 1]; unchanged if they have it."""
    if images_NCHW.shape[-2:] == (size, size):
        return images_NCHW
    resized = F.interpolate(images_NCHW, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(-1, 1)


def _bilinear_u8(images_u8_NHWC: np.ndarray, size: int) -> np.ndarray:
    """clean-fid's own resizer of the mode legacy_pytorch, which knows the size 299 alone."""
    assert size == 299
    with warnings.catch_warnings():  # it would silence every warning of the process
        resizer = build_resizer("legacy_pytorch")
    return _each(resizer, images_u8_NHWC, size)


def _aligned_u8(images_u8_NHWC: np.ndarray, size: int) -> np.ndarray:
    x_NCHW = torch.from_numpy(np.array(images_u8_NHWC, order="C")).permute(0, 3, 1, 2).float()
    return np.ascontiguousarray(_bilinear(x_NCHW, size, aligned=True).permute(0, 2, 3, 1).numpy())


def _each(resizer: Callable[[np.ndarray], np.ndarray], images_u8_NHWC: np.ndarray, size: int) -> np.ndarray:
    resized = np.empty((len(images_u8_NHWC), size, size, 3), dtype=np.float32)
    for position, image in enumerate(images_u8_NHWC):
        resized[position] = resizer(image)
    return resized


def _bilinear(images_NCHW: Tensor, size: int, *, aligned: bool) -> Tensor:
    """Bilinear without antialiasing. aligned: the corner pixels' centres stay in the corners."""
    return F.interpolate(images_NCHW, size=(size, size), mode="bilinear", align_corners=aligned)


RECIPE = "clean-fid PIL bicubic, antialiased, float32"
CLEAN = Resizing(RECIPE, resize_u8, resize_float)
RESIZINGS: dict[Resize, Resizing] = {
    "clean": CLEAN,
    "bilinear": Resizing(
        "PyTorch bilinear, float32", _bilinear_u8, lambda images, size: _bilinear(images, size, aligned=False)
    ),
    "aligned-bilinear": Resizing(
        "PyTorch bilinear with aligned corners, float32",
        _aligned_u8,
        lambda images, size: _bilinear(images, size, aligned=True),
    ),
    "inside": Resizing(
        "in the network, TensorFlow 1 bilinear",
        lambda pixels, size: pixels.astype(np.float32),
        lambda images, size: images,
    ),
}
