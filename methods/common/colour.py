"""Colour transforms as 4x4 matrices on (red, green, blue, 1), composed first and applied once.

`after @ before` applies `before` first. Parameters are (N,) tensors, matrices (N, 4, 4). The luma axis is the
grey diagonal (1, 1, 1) / sqrt(3), as in Karras et al. 2020 (ADA).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .affine import identity

LUMA_3 = torch.full((3,), 3**-0.5)
_ALONG_33 = torch.outer(LUMA_3, LUMA_3)
# v -> LUMA x v, the generator of rotations about the luma axis
_ACROSS_33 = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) * 3**-0.5


def brightness(shift_N: Tensor) -> Tensor:
    """Adds shift to every channel."""
    matrix = identity(len(shift_N), 4)
    matrix[:, :3, 3] = shift_N[:, None]
    return matrix


def contrast(factor_N: Tensor) -> Tensor:
    """Multiplies every channel by factor."""
    return _linear(factor_N[:, None, None] * torch.eye(3))


def luma_flip(flip_N: Tensor) -> Tensor:
    """Where flip is 1: mirrors the luma and keeps the chroma."""
    return _linear(torch.eye(3) - 2 * flip_N[:, None, None] * _ALONG_33)


def hue(angle_N: Tensor) -> Tensor:
    """Turns by an angle in radians about the luma axis (Rodrigues' formula)."""
    cosine, sine = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    return _linear(cosine * torch.eye(3) + sine * _ACROSS_33 + (1 - cosine) * _ALONG_33)


def saturation(factor_N: Tensor) -> Tensor:
    """Multiplies the distance from the luma axis by factor."""
    factor = factor_N[:, None, None]
    return _linear(_ALONG_33 + factor * (torch.eye(3) - _ALONG_33))


def recolour(images_NCHW: Tensor, matrix_N44: Tensor) -> Tensor:
    """Each pixel's colour moved by its image's matrix."""
    matrix_N44 = matrix_N44.to(images_NCHW.device, images_NCHW.dtype)
    turned_NCHW = torch.einsum("nij,njhw->nihw", matrix_N44[:, :3, :3], images_NCHW)
    return turned_NCHW + matrix_N44[:, :3, 3, None, None]


def _linear(matrix_N33: Tensor) -> Tensor:
    matrix = identity(len(matrix_N33), 4)
    matrix[:, :3, :3] = matrix_N33
    return matrix
