"""Resizing as clean-fid does it (Parmar et al. 2022, arXiv 2104.11222): antialiased, not quantised again."""

from __future__ import annotations

import numpy as np
from cleanfid.resize import make_resizer

RECIPE = "clean-fid PIL bicubic, antialiased, float32"


def resize_u8(images_u8_NHWC: np.ndarray, size: int) -> np.ndarray:
    """uint8 images (N, H, W, 3) -> float32 (N, size, size, 3) in [0, 255].

    Images that have the size already are passed on: the filter is the identity there.
    """
    if images_u8_NHWC.shape[1:3] == (size, size):
        return images_u8_NHWC.astype(np.float32)
    resizer = make_resizer("PIL", False, "bicubic", (size, size))
    resized = np.empty((len(images_u8_NHWC), size, size, 3), dtype=np.float32)
    for position, image in enumerate(images_u8_NHWC):
        resized[position] = resizer(image)
    return resized
