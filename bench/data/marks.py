"""What copies are found by, a few numbers for each image: its digest, perceptual hashes, mean colour and contrast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.data.disk import image_digests
from bench.data.hashes import perceptual_hashes
from bench.files.memory_map import parts

SIDE = 16  # pixels a side of the pictures that are compared


class Mark(NamedTuple):
    """Of one image. Plain numbers, since worker processes send them one by one."""

    digest: bytes  # of its pixels, as bench.data.disk.image_digests
    straight: int  # its perceptual hash, and that of its mirror image
    mirrored: int
    mean: tuple[float, ...]  # of each channel, over the 16 x 16 picture
    contrast: float  # the same picture's, in grey levels


# The same of many images as an array, a tenth of the memory.
TABLE = np.dtype([("digest", "S16"), ("straight", "u8"), ("mirrored", "u8"), ("mean", "f4", (3,)), ("contrast", "f4")])


def marks(images: np.ndarray) -> Iterator[Mark]:
    """The marks of images (N, R, R, 3) uint8, one by one; a map is read in parts."""
    return (mark for part in parts(images) for mark in _marks(part))


def small(image: np.ndarray) -> np.ndarray:
    """The image (R, R, 3) made (16, 16, 3) uint8: what is compared."""
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def contrast(images_NHWC: np.ndarray) -> np.ndarray:
    """The standard deviation (N,) over the places of a picture, in grey levels."""
    deviation: np.ndarray = np.sqrt(images_NHWC.var((1, 2)).mean(-1))
    return deviation


def _marks(images_NHWC: np.ndarray) -> list[Mark]:
    straight, mirrored = perceptual_hashes(images_NHWC)
    small_NHWC = np.stack([small(image) for image in images_NHWC]).astype(np.float32)
    means, contrasts = small_NHWC.mean((1, 2)).tolist(), contrast(small_NHWC).tolist()
    columns = image_digests(images_NHWC), straight.tolist(), mirrored.tolist(), map(tuple, means), contrasts
    return [Mark(*values) for values in zip(*columns, strict=True)]
