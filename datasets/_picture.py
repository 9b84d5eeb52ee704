"""One picture file of a user's: looked at, decoded, made a square of the wanted size; or refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from bench.errors import UserError

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
MODES = {
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
}  # 8 bits a channel, all of them safe to convert
Fit = Literal["centre", "stretch"]  # the centre square, or the whole picture with its proportions lost
MAX_PIXELS = 64_000_000  # 8000 x 8000: more is a mistake or a decompression bomb
_FORMATS = tuple(sorted(set(SUFFIXES.values())))
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, MemoryError, Image.DecompressionBombError)


def measure(path: Path) -> tuple[int, int]:
    """(width, height) from the header. UserError naming a file that is no picture, too large or not 8-bit."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below, at a lower limit
            with Image.open(path, formats=_FORMATS) as image:
                size, mode = image.size, image.mode
    except _DECODE_ERRORS as error:
        raise _unreadable(path, error) from error
    if size[0] * size[1] > MAX_PIXELS:
        raise UserError(f"{path}: {size[0]} x {size[1]} pixels; at most {MAX_PIXELS:,} are read")
    if mode not in MODES:
        raise UserError(f"{path}: its pixels are of mode {mode}; save it as 8-bit RGB")
    return size


def decode(path: Path, resolution: int, fit: Fit = "centre") -> np.ndarray:
    """The picture as (R, R, 3) uint8: on white where transparent, made a square by `fit`, Lanczos.

    Raises UserError naming a file that is cut off or damaged.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.load()
            flat = _on_white(image)
    except _DECODE_ERRORS as error:
        raise _unreadable(path, error) from error
    if fit == "centre":
        side = min(flat.size)
        left, top = (flat.width - side) // 2, (flat.height - side) // 2
        # not resize(box=...): its filter would reach beyond the square
        flat = flat.crop((left, top, left + side, top + side))
    return np.asarray(flat.resize((resolution, resolution), Image.Resampling.LANCZOS))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _unreadable(path: Path, error: BaseException) -> UserError:
    reason = "no PNG, JPEG, WebP or BMP" if isinstance(error, Image.UnidentifiedImageError) else str(error)
    return UserError(
        f"{path}: cannot be decoded ({reason.splitlines()[0] if reason else type(error).__name__})"
    )
