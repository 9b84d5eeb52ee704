"""Pictures of one colour that tells their number, 0 to 215, and survives JPEG and resizing."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

LEVELS, LOWEST, STEP = 6, 20, 43


def colour(number: int) -> tuple[int, ...]:
    """The colour of a number: its digits in base six."""
    assert 0 <= number < LEVELS**3
    return tuple(LOWEST + STEP * digit for digit in (number // LEVELS**2, number // LEVELS % LEVELS, number % LEVELS))


def pixels(number: int, side: int) -> np.ndarray:
    """The picture (side, side, 3) uint8."""
    return np.full((side, side, 3), colour(number), np.uint8)


def encoded(number: int, size: tuple[int, int] = (24, 20), kind: str = "JPEG") -> bytes:
    """The picture of a width and height as a file."""
    file = io.BytesIO()
    Image.new("RGB", size, colour(number)).save(file, kind)
    return file.getvalue()


def number_of(image: np.ndarray) -> int:
    """The number that a picture (H, W, 3) uint8 was made of."""
    digits = np.rint((image.reshape(-1, 3).mean(0) - LOWEST) / STEP).astype(int)
    assert np.abs(image.reshape(-1, 3) - np.asarray(colour(int(digits @ [36, 6, 1])))).max() < STEP / 2, digits
    return int(digits @ [36, 6, 1])
