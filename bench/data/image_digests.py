"""Which images are equal pixel for pixel: by a digest of each, of a set of any size."""

from __future__ import annotations

import hashlib

import numpy as np

from bench.files.memory_map import parts


def image_digest(image: np.ndarray) -> bytes:
    """A 16-byte digest of an image's pixels, by which exact duplicates are found."""
    return hashlib.blake2b(image.data, digest_size=16).digest()


def image_digests(images: np.ndarray) -> list[bytes]:
    """The digest of each image; a map is read in parts."""
    return [image_digest(image) for part in parts(images) for image in part]


def shared_images(one: np.ndarray, other: np.ndarray) -> int:
    """How many different images are in both of two arrays (N, R, R, 3).

    Only those whose middle rows are equal are compared whole: a set's splits seldom share one.
    """
    of_one, of_other = _keys(one), _keys(other)
    digests = [
        {image_digests(images[place][None])[0] for place in np.flatnonzero(np.isin(mine, others))}
        for images, mine, others in ((one, of_one, of_other), (other, of_other, of_one))
    ]
    return len(digests[0] & digests[1])


def _keys(images: np.ndarray) -> np.ndarray:
    """A number (N,) for each image, equal for equal ones, of its middle row alone."""
    middle = (hash(row.tobytes()) for part in parts(images) for row in part[:, part.shape[1] // 2])
    return np.fromiter(middle, np.int64, len(images))
