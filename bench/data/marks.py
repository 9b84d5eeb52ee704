"""What copies are found by, a few numbers for each image: its digest, perceptual hashes, mean colour and contrast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from bench.data.hashes import hashes_of
from bench.data.image_digests import image_digest
from bench.files.memory_map import parts

SIDE = 16  # pixels a side of the pictures that are compared
# Of each image its digest, as bench.data.image_digests, its perceptual hash and that of its mirror image, the mean
# of each channel over the 16 x 16 picture, and that picture's contrast in grey levels.
MARKS = np.dtype([("digest", "S16"), ("straight", "u8"), ("mirrored", "u8"), ("mean", "f4", (3,)), ("contrast", "f4")])


def marks(images: np.ndarray, *, near: bool = True) -> np.ndarray:
    """The marks (N,) of type MARKS of images (N, R, R, 3) uint8; a map is read in parts.

    near: also what near copies are found by; else that is zeros, and takes no time.
    """
    marks_N = np.zeros(len(images), MARKS)
    start = 0
    for images_NHWC in parts(images):
        pictures = [Image.fromarray(image) for image in images_NHWC] if near else ()
        marks_N[start : start + len(images_NHWC)] = marks_of(pictures, images_NHWC, near=near)
        start += len(images_NHWC)
    return marks_N


def marks_of(
    pictures: Sequence[Image.Image], images: Sequence[np.ndarray] | np.ndarray, *, near: bool = True
) -> np.ndarray:
    """The marks (n,) of at least one picture in memory, each given twice: as Pillow has it, and as (R, R, 3) uint8."""
    marks_N = np.zeros(len(images), MARKS)
    marks_N["digest"] = [image_digest(image) for image in images]
    if near:
        marks_N["straight"], marks_N["mirrored"] = hashes_of(pictures)
        small_NHWC = np.stack([_made_small(picture) for picture in pictures]).astype(np.float32)
        marks_N["mean"], marks_N["contrast"] = small_NHWC.mean((1, 2)), contrast(small_NHWC)
    return marks_N


def small(image: np.ndarray) -> np.ndarray:
    """The image (R, R, 3) made (16, 16, 3) uint8: what is compared."""
    return _made_small(Image.fromarray(image))


def _made_small(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX))


def contrast(images_NHWC: np.ndarray) -> np.ndarray:
    """The standard deviation (N,) over the places of a picture, in grey levels."""
    deviation: np.ndarray = np.sqrt(images_NHWC.var((1, 2)).mean(-1))
    return deviation
