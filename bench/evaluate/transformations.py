"""Transformations of images by a factor that is known: what an edit of a generated image is to look like.

Those of Plumerault et al. 2020 ("Controlling generative models with continuous factors of variations", ICLR), with the
ranges of its published code: brightness, zoom, and shifts. A factor of 0 leaves an image as it is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Edit = Literal["brightness", "zoom", "vertical-shift", "horizontal-shift"]
BLUR_SIDE = 128  # pixels of a side whose blur is given in pixels


def transformed(images_NCHW: Tensor, edit: Edit, factor: float) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1] as a factor makes them, and which of their pixels are known, (1, 1, H, W) bool.

    brightness: the factor is added, and values stay in [-1, 1]. zoom: about the centre, by 1 + factor, bilinear.
    shifts: down or to the right by that share of the side, in whole pixels. What comes in from outside of the
    image is not known, and is 0.
    """
    side = images_NCHW.shape[2]
    if edit == "brightness":
        known = torch.ones(1, 1, side, side, dtype=torch.bool, device=images_NCHW.device)
        return (images_NCHW + factor).clamp(-1, 1), known
    if edit == "zoom":
        return _read(images_NCHW, scale=1 / (1 + factor))
    pixels = round(factor * side)
    move = {"down": pixels} if edit == "vertical-shift" else {"right": pixels}
    return _read(images_NCHW, **move)


def _read(images_NCHW: Tensor, *, scale: float = 1.0, right: int = 0, down: int = 0) -> tuple[Tensor, Tensor]:
    """Every pixel from `scale` times its place about the centre, less so many pixels; and whether that is inside."""
    side = images_NCHW.shape[2]
    middle = (side - 1) / 2
    places = torch.arange(side, device=images_NCHW.device, dtype=torch.float64) - middle
    from_x, from_y = places * scale + middle - right, places * scale + middle - down
    # From pixels to the coordinates of grid_sample, whose -1 and 1 are the borders of the image
    x, y = ((2 * place + 1) / side - 1 for place in (from_x, from_y))
    grid_NHWC = torch.stack([x.expand(side, side), y[:, None].expand(side, side)], dim=-1)[None].to(images_NCHW)
    grid_NHWC = grid_NHWC.expand(len(images_NCHW), -1, -1, -1)
    read_NCHW = F.grid_sample(images_NCHW, grid_NHWC, mode="bilinear", padding_mode="border", align_corners=False)
    inside_x, inside_y = ((place >= -0.5) & (place <= side - 0.5) for place in (from_x, from_y))
    known = (inside_y[:, None] & inside_x)[None, None]
    return read_NCHW * known, known


def blurred_errors(images_NCHW: Tensor, wanted_NCHW: Tensor, known: Tensor, sigma: float) -> Tensor:
    """The mean squared difference of each pair of images after a Gaussian blur, over the known pixels: (N,).

    sigma: of the blur, in pixels of an image of BLUR_SIDE a side. It lets details that no latent can move pass. Where
    pixels are not known, no difference enters, before the blur or after it.
    """
    side = images_NCHW.shape[2]
    kernel = _gaussian(sigma * side / BLUR_SIDE).to(images_NCHW)
    reach = len(kernel) // 2
    error_NCHW = (images_NCHW - wanted_NCHW) * known
    rows = kernel[None, None, :, None].expand(3, -1, -1, -1)
    across = F.conv2d(error_NCHW, rows, padding=(reach, 0), groups=3)
    blurred_NCHW = F.conv2d(across, rows.transpose(2, 3), padding=(0, reach), groups=3)
    return (blurred_NCHW.square() * known).sum((1, 2, 3)) / (3 * known.sum())


def _gaussian(sigma: float) -> Tensor:
    """A kernel of sum 1, cut off at three sigma."""
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    return kernel / kernel.sum()
