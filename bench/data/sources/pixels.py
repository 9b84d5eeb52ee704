"""What the numbers of an array mean: which axis is which, and which number is white.

Axes (declared): four axes are pictures, height, width, channels (NHWC) where the last has 1 or 3 entries, and pictures,
channels, height, width (NCHW) where the second has; where both have, the array is refused. Three axes are grey pictures
(NHW), unless one of the outer two has 1 or 3 entries: that may be a single picture, and is refused.

Numbers (declared): uint8 as they are; booleans are black and white; other integers as they are, if all lie in 0 to 255;
floats are 0 to 1 if all lie there, else 0 to 255 if all are whole numbers of that range; anything else is refused.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bench.data.picture import MAX_PIXELS
from bench.data.sources.npy import StoredArray
from bench.errors import UserError

Order = Literal["NHWC", "NCHW", "NHW"]
CHANNELS = (1, 3)
_SAVE = "save it as (N, H, W, 3) uint8"


def order_of(shape: tuple[int, ...], where: str) -> Order:
    """The order of an array's axes. UserError where it is not plain, and for pictures of no or too many pixels."""
    text = f"{where}: has the shape ({', '.join(map(str, shape))}), which"
    if len(shape) not in (3, 4):
        raise UserError(f"{text} is none of (N, H, W, 3 or 1), (N, 3 or 1, H, W) and (N, H, W); {_SAVE}")
    order: Order = "NHW"
    if len(shape) == 4:
        last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
        if last and first:
            raise UserError(f"{text} may have its channels second or last; {_SAVE} with pictures of more than 3 pixels")
        if not last and not first:
            raise UserError(f"{text} has 1 or 3 channels neither last nor second; {_SAVE}")
        order = "NHWC" if last else "NCHW"
    elif shape[0] in CHANNELS or shape[2] in CHANNELS:
        raise UserError(f"{text} may be a single picture, or grey ones; {_SAVE}")
    height, width = shape[2:] if order == "NCHW" else shape[1:3]
    if not 0 < height * width <= MAX_PIXELS:
        raise UserError(f"{text} is of pictures of {height} x {width} pixels; 1 to {MAX_PIXELS:,} are read; {_SAVE}")
    return order


def scale_of(array: StoredArray, where: str) -> int:
    """What its numbers are to be multiplied with, 1 or 255. Reads all of it, unless its type says enough."""
    if array.dtype.kind == "b":
        return 255
    if array.dtype.kind not in "iuf":
        raise UserError(f"{where}: holds {array.dtype}, not the numbers of pictures; {_SAVE}")
    if array.dtype == np.uint8:
        return 1
    lowest, highest, whole = 0.0, 0.0, True
    for block in array.blocks():
        low, high = float(block.min()), float(block.max())
        if not (low >= 0 and high <= 255):  # also for NaN, which Python's min() would pass over
            lowest, highest = low, high
            break
        lowest, highest = min(lowest, low), max(highest, high)
        whole = whole and (array.dtype.kind != "f" or bool(np.array_equal(block, np.rint(block))))
    if array.dtype.kind == "f" and lowest >= 0 and highest <= 1:
        return 255
    if lowest >= 0 and highest <= 255 and whole:
        return 1
    raise UserError(
        f"{where}: holds {array.dtype} between {lowest:g} and {highest:g}; read are 0 to 1, or whole numbers 0 to 255: "
        f"{_SAVE}"
    )


def picture(pixels: np.ndarray, order: Order, scale: int) -> np.ndarray:
    """One entry of such an array as (H, W, 3) uint8; grey in all three channels."""
    if order != "NHWC":
        pixels = pixels[..., None] if order == "NHW" else pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels.astype(np.float64) * scale).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
