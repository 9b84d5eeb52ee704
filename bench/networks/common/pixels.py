"""Images as networks have them, float NCHW in [-1, 1], and as files do, uint8."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_uint8(images_NCHW: Tensor) -> np.ndarray:
    """Float images in [-1, 1] to uint8 (N, H, W, 3), rounded to nearest as a saved PNG would be."""
    scaled = ((images_NCHW.float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_signed(images_u8: Tensor) -> Tensor:
    """uint8 0..255 to contiguous float32 in [-1, 1]."""
    return images_u8.contiguous().float().div_(127.5).sub_(1.0)


def signed_images(images_NHWC: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 images (N, H, W, 3) as networks have them, (N, 3, H, W) float32; a copy, of a memory map too."""
    return to_signed(torch.from_numpy(np.array(images_NHWC)).permute(0, 3, 1, 2).to(device))
