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


def cut_sheet(sheet: Image.Image, side: int, columns: int = 10) -> np.ndarray:
    """The pictures (N, side, side, 3) uint8 of a contact sheet, row by row, and the white ones that fill its last row.

    Raises ValueError for a sheet that does not hold squares of `side` pixels in so many columns.
    """
    whole = np.asarray(sheet.convert("RGB"))
    wide = (whole.shape[1] - GAP) // columns
    scale = (wide - GAP) // side
    rows = (whole.shape[0] - GAP) // wide
    if scale < 1 or wide != side * scale + GAP or whole.shape[:2] != (rows * wide + GAP, columns * wide + GAP):
        raise ValueError(f"a sheet of {whole.shape[1]} x {whole.shape[0]} pixels has no {columns} columns of {side} px")
    tops, lefts = (GAP + wide * np.arange(count) for count in (rows, columns))
    return np.stack([whole[top : top + wide - GAP : scale, left : left + wide - GAP : scale]
                     for top in tops for left in lefts])  # fmt: skip
