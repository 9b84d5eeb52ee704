"""Geometric transforms as 3x3 matrices on pixel coordinates, composed first and sampled once.

Coordinates are (x right, y down), with the origin at the image's centre. A matrix says where a point of the
image goes; `after @ before` applies `before` first. Parameters are (N,) tensors, matrices (N, 3, 3).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def identity(count: int, size: int = 3) -> Tensor:
    """`count` identity matrices."""
    return torch.eye(size).repeat(count, 1, 1)


def translation(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Moves by (x, y) pixels."""
    matrix = identity(len(x_N))
    matrix[:, 0, 2], matrix[:, 1, 2] = x_N, y_N
    return matrix


def scaling(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Enlarges by x and y; a negative factor mirrors."""
    matrix = identity(len(x_N))
    matrix[:, 0, 0], matrix[:, 1, 1] = x_N, y_N
    return matrix


def rotation(angle_N: Tensor) -> Tensor:
    """Turns by an angle in radians, from the x axis towards the y axis."""
    matrix = identity(len(angle_N))
    cosine_N, sine_N = angle_N.cos(), angle_N.sin()
    matrix[:, 0, 0], matrix[:, 0, 1] = cosine_N, -sine_N
    matrix[:, 1, 0], matrix[:, 1, 1] = sine_N, cosine_N
    return matrix


def warp(images_NCHW: Tensor, matrix_N33: Tensor) -> Tensor:
    """Images moved by the matrices: bilinear, mirrored at the border pixels' centres. Differentiable once."""
    _, _, height, width = images_NCHW.shape
    half = torch.diag(torch.tensor([(width - 1) / 2, (height - 1) / 2, 1.0]))
    look_N33 = torch.linalg.inv(half) @ torch.linalg.inv(matrix_N33) @ half
    look_N23 = look_N33[:, :2].to(images_NCHW.device, images_NCHW.dtype)
    grid_NHW2 = functional.affine_grid(look_N23, list(images_NCHW.shape), align_corners=True)
    return functional.grid_sample(
        images_NCHW, grid_NHW2, mode="bilinear", padding_mode="reflection", align_corners=True
    )
