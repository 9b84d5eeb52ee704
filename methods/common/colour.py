"""Colour transforms as 4x4 matrices on (red, green, blue, 1), composed first and applied once.

`after @ before` applies `before` first. Parameters are (N,) tensors, matrices (N, 4, 4). The luma axis is the
grey diagonal (1, 1, 1) / sqrt(3), as in Karras et al. 2020 (ADA).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .affine import identity

LUMA = torch.full((3,), 3**-0.5)


@cache
def _axes(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """v -> v, v -> its part along LUMA, and v -> LUMA x v, the generator of rotations about that axis: (3, 3) each."""
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) * 3**-0.5
    same, along, across = (part.to(device, dtype) for part in (torch.eye(3), torch.outer(LUMA, LUMA), across))
    return same, along, across


def brightness(shift_N: Tensor) -> Tensor:
    """Adds shift to every channel."""
    matrix = identity(shift_N, 4)
    matrix[:, :3, 3] = shift_N[:, None]
    return matrix


def contrast(factor_N: Tensor) -> Tensor:
    """Multiplies every channel by factor."""
    same, _, _ = _axes(factor_N.dtype, factor_N.device)
    return _linear(factor_N[:, None, None] * same)


def luma_flip(flip_N: Tensor) -> Tensor:
    """Where flip is 1: mirrors the luma and keeps the chroma."""
    same, along, _ = _axes(flip_N.dtype, flip_N.device)
    return _linear(same - 2 * flip_N[:, None, None] * along)


def hue(angle_N: Tensor) -> Tensor:
    """Turns by an angle in radians about the luma axis (Rodrigues' formula)."""
    cosine, sine = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    same, along, across = _axes(angle_N.dtype, angle_N.device)
    return _linear(cosine * same + sine * across + (1 - cosine) * along)


def saturation(factor_N: Tensor) -> Tensor:
    """Multiplies the distance from the luma axis by factor."""
    factor = factor_N[:, None, None]
    same, along, _ = _axes(factor_N.dtype, factor_N.device)
    return _linear(along + factor * (same - along))


def recolour(images_NCHW: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel's colour moved by its image's matrix, (N, 4, 4)."""
    matrix = matrix.to(images_NCHW.device, images_NCHW.dtype)
    turned_NCHW = torch.einsum("nij,njhw->nihw", matrix[:, :3, :3], images_NCHW)
    return turned_NCHW + matrix[:, :3, 3, None, None]


def _linear(part: Tensor) -> Tensor:
    """Matrices (N, 4, 4) that multiply a colour by (N, 3, 3) and add nothing."""
    matrix = identity(part, 4)
    matrix[:, :3, :3] = part
    return matrix
