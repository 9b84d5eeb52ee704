"""Altered pictures whose features a generator is given: parts pasted or removed, sketches, grey ones (DISP, fig. 8).

All of them take and give uint8 RGB images (H, W, 3). How large the parts are, what fills a hole and how a sketch is
drawn is declared: the papers have pictures of each and no words.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

HOLE = 128  # the grey of a removed part: 0 of images in [-1, 1]


def box_at(side: int, top: float, left: float) -> tuple[slice, slice]:
    """A square of half the side of an image; top, left: its place, in [0, 1) of what is free."""
    half = side // 2
    first, second = (int(share * (side - half + 1)) for share in (top, left))
    return slice(first, first + half), slice(second, second + half)


def cut_mix(image_HWC: np.ndarray, other_HWC: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """The image with a part of another one pasted in the same place (CutMix, Yun et al. 2019)."""
    mixed = image_HWC.copy()
    mixed[box] = other_HWC[box]
    return mixed


def cut_out(image_HWC: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """The image with a part made grey (CutOut, DeVries and Taylor 2017)."""
    cut = image_HWC.copy()
    cut[box] = HOLE
    return cut


def grey(image_HWC: np.ndarray) -> np.ndarray:
    """The image's luma (Rec. 601) in all three channels."""
    return np.asarray(Image.fromarray(image_HWC).convert("L").convert("RGB"))


def sketch(image_HWC: np.ndarray) -> np.ndarray:
    """Dark lines on white where the luma changes: 255 minus the length of Sobel's gradient, in grey levels a pixel."""
    luma = grey(image_HWC)[..., 0].astype(float)
    down, right = (ndimage.sobel(luma, axis=axis, mode="nearest") / 8 for axis in (0, 1))
    lines = np.clip(255 - 2 * np.hypot(down, right), 0, 255)
    return np.repeat(np.rint(lines).astype(np.uint8)[..., None], 3, axis=2)
