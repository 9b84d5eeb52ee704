"""One picture of a user's, a file or pixels, decoded to a square of a given size, or refused with the reason."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps

# What is read, by a file's content; PIL's other formats are rare, ambiguous, or call other programs (EPS).
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
# Names that promise a picture: such a file that is not one counts as bad, any other file as something else.
SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2",
}  # fmt: skip
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}  # 8 bits a channel, all safe to convert
DEEP_GREY = {"I;16", "I;16B", "I;16L", "I;16N"}
# The centre square; the whole picture with its proportions lost; the centre of the picture made small.
Fit = Literal["centre", "stretch", "center-crop"]
# What each does, and by which filter, for people.
FILTERS: dict[Fit, str] = {
    "centre": "centre square, PIL Lanczos",
    "stretch": "stretched to a square, PIL Lanczos",
    "center-crop": "shorter side resized, centre cut out, PIL bilinear",
}
Content = Path | BinaryIO | np.ndarray  # a file, one that is open, or pixels (H, W, 3) uint8
MAX_PIXELS = 64_000_000  # 8000 x 8000: more is a mistake or a decompression bomb
MAX_BYTES = 2**29  # of a file: that many pixels of 8 bits need less, without any compression
_DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, MemoryError, KeyError, IndexError, TypeError, RuntimeError,
    struct.error, Image.DecompressionBombError,
)  # fmt: skip
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP"}
_ORIENTATION = 0x0112  # the EXIF tag


class BadPictureError(Exception):
    """A file that cannot be used; the message is the reason, without the file's name."""


class NoPictureError(BadPictureError):
    """A file whose content is of no format that is read."""


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are read; the size is that of the picture held upright."""

    width: int
    height: int
    animated: bool


def measure(content: Content) -> Header:
    """The header. BadPictureError for a file that is no picture, too large, or deeper than can be converted."""
    with _opened(content) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise BadPictureError(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are read")
        _check_mode(image)
        if _on_its_side(image):
            width, height = height, width
        return Header(width, height, bool(getattr(image, "is_animated", False)))


def decode(content: Content, resolution: int, fit: Fit = "centre") -> Image.Image:
    """The picture, or an animation's first, as R x R pixels of RGB.

    Upright, on white where transparent, made square by `fit`, resized by Lanczos (center-crop: bilinear). Every filter
    is antialiased. BadPictureError for a file that is cut off or damaged.
    """
    with _opened(content) as image:
        image.load()
        _check_mode(image)
        ImageOps.exif_transpose(image, in_place=True)
        flat = _on_white(_eight_bits(image))
    if fit == "center-crop":
        return _centre_of_small(flat, resolution)
    if fit == "centre" and flat.width != flat.height:
        side = min(flat.size)
        left, top = (flat.width - side) // 2, (flat.height - side) // 2
        # not resize(box=...): its filter would reach beyond the square
        flat = flat.crop((left, top, left + side, top + side))
    return flat.resize((resolution, resolution), Image.Resampling.LANCZOS)


def _centre_of_small(image: Image.Image, side: int) -> Image.Image:
    """The picture with its shorter side resized, then its centre square: torchvision's Resize and CenterCrop."""
    width, height = image.size
    size = (side, side * height // width) if width <= height else (side * width // height, side)
    small = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((small.width - side) / 2), round((small.height - side) / 2)
    return small.crop((left, top, left + side, top + side))


@contextmanager
def _opened(content: Content) -> Iterator[Image.Image]:
    """The picture, open; BadPictureError for whatever PIL raises on a damaged one."""
    if isinstance(content, np.ndarray):
        yield Image.fromarray(_checked(content))
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large pictures are refused here, damaged EXIF is of no use
            with Image.open(content, formats=_available()) as image:
                yield image
    except Image.UnidentifiedImageError as error:
        raise _unidentified(content) from error
    except _DECODE_ERRORS as error:
        raise BadPictureError(f"cannot be decoded ({_first_line(error)})") from error


def _checked(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise BadPictureError(f"its pixels are {pixels.dtype} {pixels.shape}, not uint8 (height, width, 3)")
    return np.ascontiguousarray(pixels)


@cache
def _available() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _unidentified(content: Path | BinaryIO) -> BadPictureError:
    """The error for a file that PIL cannot identify: a text, or a picture whose first chunk is damaged."""
    with content.open("rb") if isinstance(content, Path) else nullcontext(content) as file:
        file.seek(0)
        head = file.read(8)
        format_name = next((name for start, name in _SIGNATURES.items() if head.startswith(start)), None)
        if format_name is None:
            return NoPictureError("no picture of a format that is read")
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Image.OPEN[format_name][0](file, "")
        except _DECODE_ERRORS as error:
            return BadPictureError(f"a damaged {format_name} ({_first_line(error)})")
    return BadPictureError(f"a damaged {format_name}")


def _on_its_side(image: Image.Image) -> bool:
    """Whether the width of a picture that is not loaded yet will be its height."""
    if image.format == "TIFF":  # whose size PIL gives upright
        return False
    if image.format == "PNG" and "exif" not in image.info:  # PIL would decode all of it to look behind its pixels
        return False
    return bool(image.getexif().get(_ORIENTATION, 1) >= 5)


def _check_mode(image: Image.Image) -> None:
    sixteen = image.mode in DEEP_GREY or (image.mode == "I" and image.format == "PNG")
    if image.mode not in MODES and not (sixteen and "transparency" not in image.info):
        raise BadPictureError(f"its pixels are of mode {image.mode}; save it as 8-bit RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit: 65,535 is 255. Any other picture as it is."""
    if image.mode in MODES:
        return image
    return Image.fromarray(np.rint(np.asarray(image, np.float64) / 257).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
