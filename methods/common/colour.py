"""Colour transforms as 4x4 matrices on (red, green, blue, 1), composed first and applied once.

`after @ before` applies `before` first. Parameters are (N,) tensors, matrices (N, 4, 4). The luma axis is the
grey diagonal (1, 1, 1) / sqrt(3), as in Karras et al. 2020 (ADA).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .affine import identity

LUMA = torch.full((3,), 3**-0.5)
_ALONG = torch.outer(LUMA, LUMA)
# v -> LUMA x v, the generator of rotations about the luma axis
_ACROSS = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) * 3**-0.5


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
    return _linear(torch.eye(3) - 2 * flip_N[:, None, None] * _ALONG)


def hue(angle_N: Tensor) -> Tensor:
    """Turns by an angle in radians about the luma axis (Rodrigues' formula)."""
    cosine, sine = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    return _linear(cosine * torch.eye(3) + sine * _ACROSS + (1 - cosine) * _ALONG)


def saturation(factor_N: Tensor) -> Tensor:
    """Multiplies the distance from the luma axis by factor."""
    factor = factor_N[:, None, None]
    return _linear(_ALONG + factor * (torch.eye(3) - _ALONG))


def recolour(images_NCHW: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel's colour moved by its image's matrix, (N, 4, 4)."""
    matrix = matrix.to(images_NCHW.device, images_NCHW.dtype)
    turned_NCHW = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], images_NCHW)
    return turned_NCHW + matrix[:, :3, 3, None, None]


def _linear(part: Tensor) -> Tensor:
    """Matrices (N, 4, 4) that multiply a colour by (N, 3, 3) and add nothing."""
    matrix = identity(len(part), 4)
    matrix[:, :3, :3] = part
    return matrix
