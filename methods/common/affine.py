"""Geometric transforms as 3x3 matrices on pixel coordinates, composed first and sampled once.

Coordinates are (x right, y down), with the origin at the image's centre. A matrix says where a point of the
image goes; `after @ before` applies `before` first. Parameters are (N,) tensors, matrices (N, 3, 3).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BILINEAR, REFLECTION = 0, 2  # aten's numbers of grid_sample's modes


def exact(values: Tensor) -> Tensor:
    """Parameters as matrices of them should be computed: as they are on a CPU, on other devices in float64.

    A GPU's products of float32 matrices may be of TF32, which is a pixel off in a thousand.
    """
    return values if values.device.type == "cpu" else values.double()


def identity(like_N: Tensor, size: int = 3) -> Tensor:
    """An identity matrix for each of the values, of their dtype and on their device."""
    return torch.eye(size, dtype=like_N.dtype, device=like_N.device).repeat(len(like_N), 1, 1)


def translation(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Moves by (x, y) pixels."""
    matrix = identity(x_N)
    matrix[:, 0, 2], matrix[:, 1, 2] = x_N, y_N
    return matrix


def scaling(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Enlarges by x and y; a negative factor mirrors."""
    matrix = identity(x_N)
    matrix[:, 0, 0], matrix[:, 1, 1] = x_N, y_N
    return matrix


def rotation(angle_N: Tensor) -> Tensor:
    """Turns by an angle in radians, from the x axis towards the y axis."""
    matrix = identity(angle_N)
    cosine_N, sine_N = angle_N.cos(), angle_N.sin()
    matrix[:, 0, 0], matrix[:, 0, 1] = cosine_N, -sine_N
    matrix[:, 1, 0], matrix[:, 1, 1] = sine_N, cosine_N
    return matrix


@cache
def _halved(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """From -1 ... 1 to pixels from the centre, and back; made once, as a copy to a GPU waits for it."""
    half = torch.diag(torch.tensor([(width - 1) / 2, (height - 1) / 2, 1.0], dtype=dtype))
    return half.to(device), torch.linalg.inv(half).to(device)


def warp(images_NCHW: Tensor, matrix: Tensor) -> Tensor:
    """Images moved by the matrices (N, 3, 3): bilinear, mirrored at the border pixels' centres.

    Differentiable in the images any number of times.
    """
    _, _, height, width = images_NCHW.shape
    # Without a look at whether they can be inverted, for which a GPU would have to be waited for
    back = torch.linalg.inv_ex(exact(matrix)).inverse
    half, double = _halved(height, width, back.dtype, back.device)
    look = (double @ back @ half)[:, :2]  # (N, 2, 3)
    look = look.to(images_NCHW.device, images_NCHW.dtype)
    grid_NHWD = functional.affine_grid(look, list(images_NCHW.shape), align_corners=True)
    moved_NCHW: Tensor = _Warp.apply(images_NCHW, grid_NHWD)
    return moved_NCHW


def _sampled(images_NCHW: Tensor, grid_NHWD: Tensor) -> Tensor:
    return functional.grid_sample(
        images_NCHW, grid_NHWD, mode="bilinear", padding_mode="reflection", align_corners=True
    )


# A grid says where each pixel looks, D = 2. For a fixed grid the warp is linear, x -> A x: its gradient is A^T, whose
# gradient is A again. Older torches do not differentiate the gradient of grid_sample, which R1 at the raw images needs.
class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images_NCHW: Tensor, grid_NHWD: Tensor) -> Tensor:
        ctx.save_for_backward(grid_NHWD)
        ctx.shape = images_NCHW.shape
        return _sampled(images_NCHW, grid_NHWD)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (grid_NHWD,) = ctx.saved_tensors
        return _Transposed.apply(gradients[0], grid_NHWD.to(gradients[0].dtype), ctx.shape), None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, moved_NCHW: Tensor, grid_NHWD: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid_NHWD)
        like_NCHW = moved_NCHW.new_zeros(()).expand(shape)  # of the images only the shape matters
        back_NCHW, _ = torch.ops.aten.grid_sampler_2d_backward(
            moved_NCHW, like_NCHW, grid_NHWD, BILINEAR, REFLECTION, True, [True, False]
        )
        images_NCHW: Tensor = back_NCHW
        return images_NCHW

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (grid_NHWD,) = ctx.saved_tensors
        moved_NCHW: Tensor = _Warp.apply(gradients[0], grid_NHWD)
        return moved_NCHW, None, None
