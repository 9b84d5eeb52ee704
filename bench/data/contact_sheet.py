"""Many small pictures on one sheet, apart from each other."""

from __future__ import annotations

import numpy as np
from PIL import Image

GAP = 2  # white pixels between two pictures and around all, whatever the scale


def contact_sheet(images_NHWC: np.ndarray, columns: int = 10, scale: int = 1) -> Image.Image:
    """uint8 RGB images in a grid, row by row; `scale` enlarges each pixel."""
    count, height, width, _ = images_NHWC.shape
    high, wide = height * scale + GAP, width * scale + GAP
    rows = -(-count // columns)
    sheet = np.full((rows * high + GAP, columns * wide + GAP, 3), 255, np.uint8)
    for place, image in enumerate(images_NHWC):
        top, left = place // columns * high + GAP, place % columns * wide + GAP
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
        sheet[top : top + height * scale, left : left + width * scale] = large
    return Image.fromarray(sheet)
