"""64-bit perceptual hashes of images, and all pairs of them that differ in few bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from bench.files.memory_map import parts

SIDE, KEPT = 32, 8  # of a picture's 32 x 32 frequencies the lowest 8 x 8 are kept
ABOVE = 0.05  # of the mean size of a picture's frequencies: by so much one is above their median
PARTS, BITS = 4, 16  # a hash is looked up by four parts of 16 bits
FARTHEST = 15  # the largest distance that can be asked for: beyond, unlike pictures are as near as like ones
AT_ONCE = 1 << 18  # pairs that are compared together
_COSINES = np.cos(np.pi * np.arange(KEPT)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))  # the DCT's first rows
_MIRROR = (-1.0) ** np.arange(KEPT)  # what a mirror does to frequencies along x
_ONES = np.array([number.bit_count() for number in range(1 << BITS)], np.uint8)


def perceptual_hashes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes uint64 (N,) of images (N, R, R, 3) uint8, and those of their mirror images.

    pHash as the package ImageHash computes it: grey, 32 x 32 by Lanczos, a DCT, and of each of the 8 x 8 lowest
    frequencies whether it is above their median; here, by more than noise. A map is read in parts.
    """
    found = [hashes_of([Image.fromarray(image) for image in images_NHWC]) for images_NHWC in parts(images)]
    none = np.empty(0, np.uint64)
    straight, mirrored = zip((none, none), *found, strict=True)
    return np.concatenate(straight), np.concatenate(mirrored)


def hashes_of(pictures: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """`perceptual_hashes` of at least one picture, RGB, all in memory."""
    grey_N = np.stack([_grey(picture) for picture in pictures]).astype(np.float64)
    frequencies_N = _COSINES @ grey_N @ _COSINES.T
    return _bits(frequencies_N), _bits(frequencies_N * _MIRROR)


def _grey(picture: Image.Image) -> np.ndarray:
    # The gap halves large pictures first, which is quick and changes the hash of few by a bit.
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0))


def _bits(frequencies_N: np.ndarray) -> np.ndarray:
    median_N = np.median(frequencies_N, axis=(1, 2), keepdims=True)
    # Half of the frequencies of a symmetric picture are nothing but noise, which must not fall on either side.
    size_N = np.abs(frequencies_N.reshape(-1, KEPT * KEPT)[:, 1:]).mean(1)[:, None, None]
    above_N = frequencies_N > median_N + ABOVE * size_N
    return np.packbits(above_N.reshape(-1, KEPT * KEPT), axis=1).view(">u8")[:, 0].astype(np.uint64)


def distances(one_N: np.ndarray, other_N: np.ndarray) -> np.ndarray:
    """How many bits differ, uint8 (N,), of two arrays of hashes."""
    differ_N = one_N ^ other_N
    ones_N: np.ndarray = _ONES[_part(differ_N, 0)]
    for part in range(1, PARTS):
        ones_N = ones_N + _ONES[_part(differ_N, part)]
    return ones_N


def close_pairs(one_N: np.ndarray, other_N: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """Every pair (i, j), i < j, with at most `distance` bits between one_N[i] and other_N[j], int64 (n, 2) at a time.

    Each pair comes once, in no particular order. Of two hashes that differ in d bits, one of four parts differs in at
    most d // 4: looked up by that part, so that only a small share of all pairs is compared.
    """
    assert 0 <= distance <= FARTHEST, f"distance {distance}"
    within = distance // PARTS
    for part in range(PARTS):
        key_N, found_by_N = _part(one_N, part), _part(other_N, part)
        order_N = np.argsort(found_by_N, kind="stable")
        start_K = np.searchsorted(found_by_N[order_N], np.arange((1 << BITS) + 1))
        for flip in _flips(within):
            wanted_N = key_N ^ flip
            for i, place in _expanded(start_K[wanted_N], start_K[wanted_N + 1]):
                j = order_N[place]
                near = i < j
                near[near] = distances(one_N[i[near]], other_N[j[near]]) <= distance
                i, j = i[near], j[near]
                for earlier in range(part):  # by which the pair was found already
                    new = _ONES[_part(one_N[i] ^ other_N[j], earlier)] > within
                    i, j = i[new], j[new]
                if len(i):
                    yield np.stack([i, j], axis=1)


def _part(hash_N: np.ndarray, part: int) -> np.ndarray:
    return (hash_N >> np.uint64(BITS * part) & np.uint64((1 << BITS) - 1)).astype(np.int64)


def _flips(within: int) -> Iterator[int]:
    """Every 16-bit number with at most this many ones."""
    for ones in range(within + 1):
        yield from (sum(1 << bit for bit in bits) for bits in combinations(range(BITS), ones))


def _expanded(start_N: np.ndarray, end_N: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(n, place) for every place of the ranges start_N[n] to end_N[n], AT_ONCE at a time."""
    total_N = np.concatenate([[0], np.cumsum(end_N - start_N)])
    for low in range(0, int(total_N[-1]), AT_ONCE):
        flat = np.arange(low, min(low + AT_ONCE, int(total_N[-1])))
        n = np.searchsorted(total_N, flat, side="right") - 1
        yield n, start_N[n] + flat - total_N[n]
