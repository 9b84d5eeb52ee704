"""Pictures of soft shapes, each unlike the others and still itself as a JPEG."""

from __future__ import annotations

import numpy as np
from PIL import Image


def soft_picture(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """The picture of this number, in a size."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def centre_square(image: Image.Image) -> bytes:
    """The pixels of the picture's centre square, at its own size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side))).tobytes()
