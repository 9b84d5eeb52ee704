"""Exact and near duplicates among images: copies that were re-encoded, resized, brightened, mirrored or cut a little.

A perceptual hash proposes pairs, and their pixels decide. The hash alone would lump together drawings of one style,
flat pictures and handwritten digits: it keeps 64 signs of a picture's coarse shape, whatever the contrast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.data.copies import SmallPictures
from bench.data.disk import image_digests
from bench.data.hashes import close_pairs
from bench.data.marks import SIDE, TABLE, Mark, marks, small
from bench.files.memory_map import release

DISTANCE = 7  # bits of 64
FLAT = 2.0  # grey levels: with less contrast than this a picture has nothing but its colour
PAIRS_AT_ONCE = 8192


def exact_duplicates(*arrays: np.ndarray) -> list[list[int]]:
    """Groups of images with equal pixels, numbered and sorted as by `near_duplicates`."""
    digests = (digest for array in arrays for digest in image_digests(array))
    return _groups(_equal(np.fromiter(digests, TABLE["digest"])))


def near_duplicates(
    *arrays: np.ndarray, distance: int = DISTANCE, marked: Iterable[Mark] | None = None
) -> list[list[int]]:
    """Groups of images that are copies of one another, exact copies included, sorted.

    arrays: images (N, R, R, 3) uint8 of one resolution, numbered through all of them; a map is read in parts.
    distance: the most bits in which the hashes of two copies differ, 0 to 15. Two images are in one group if they are
    copies, or if a chain of copies joins them. marked: the marks of all images, where they are known already.
    """
    table_N = np.fromiter(marked if marked is not None else chain.from_iterable(map(marks, arrays)), TABLE)
    group_N = _equal(table_N["digest"])
    # Equal images count once: else ten thousand times one picture would be fifty million pairs.
    first_M = np.unique(group_N, return_index=True)[1]
    table_M = table_N[first_M]
    pictures = _Pixels(arrays, first_M)
    joined = _Joined(len(first_M))
    joined.add(_flat_pairs(table_M))
    for pairs, mirrored in _proposed(table_M, distance):
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            new = joined.apart(pairs[start : start + PAIRS_AT_ONCE])
            which, places = np.unique(new, return_inverse=True)
            alike = SmallPictures(pictures.pixels(which)).copies(places.reshape(-1, 2), mirrored)
            joined.add(new[alike])
    return _groups(joined.label_M[group_N])


class _Joined:
    """Which images are in one group: label_M, the number of each image's group."""

    def __init__(self, count: int) -> None:
        self.label_M = np.arange(count)

    def apart(self, pairs: np.ndarray) -> np.ndarray:
        """Those pairs whose images are not in one group yet."""
        label = self.label_M[pairs]
        return pairs[label[:, 0] != label[:, 1]]

    def add(self, pairs: np.ndarray) -> None:
        """Join the groups of each pair's images."""
        if len(pairs):
            one, other = self.label_M[pairs].T
            count = int(self.label_M.max()) + 1
            graph = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(count, count))
            self.label_M = connected_components(graph, directed=False)[1][self.label_M]


class _Pixels:
    """Images made 16 x 16 pixels, read when they are needed: few images have another one whose hash is close."""

    def __init__(self, arrays: Sequence[np.ndarray], index_M: np.ndarray) -> None:
        self._arrays, self._index_M = arrays, index_M
        self._starts = np.cumsum([0, *(len(array) for array in arrays)])
        self._known_M = np.zeros(len(index_M), bool)
        # Takes no memory where nothing was written.
        self._pixels = np.empty((len(index_M), SIDE, SIDE, 3), np.uint8)

    def pixels(self, which: np.ndarray) -> np.ndarray:
        """Of these different images, (n, 16, 16, 3) float32."""
        for place in which[~self._known_M[which]]:
            self._pixels[place] = small(self._image(self._index_M[place]))
        self._known_M[which] = True
        for array in self._arrays:
            release(array)
        return self._pixels[which].astype(np.float32)

    def _image(self, index: int) -> np.ndarray:
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        image: np.ndarray = self._arrays[which][index - self._starts[which]]
        return image


def _flat_pairs(table_M: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) that join all flat images of one colour, rounded to whole grey levels."""
    flat = np.flatnonzero(table_M["contrast"] < FLAT)
    _, first, which = np.unique(table_M["mean"][flat].round(), axis=0, return_index=True, return_inverse=True)
    return np.stack([flat[first][which.reshape(-1)], flat], axis=1)


def _proposed(table_M: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Pairs (n, 2) of images with contrast whose hashes are close, and whether it is the hash of the mirror image."""
    textured = np.flatnonzero(table_M["contrast"] >= FLAT)
    straight, mirrored = table_M["straight"][textured], table_M["mirrored"][textured]
    for other, is_mirrored in ((straight, False), (mirrored, True)):
        for pairs in close_pairs(straight, other, distance):
            yield textured[pairs], is_mirrored


def _equal(digests: np.ndarray) -> np.ndarray:
    """The number (N,) of each image's group of equal images, in the order of their first images."""
    _, first, group_N = np.unique(digests, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group_N]


def _groups(label_N: np.ndarray) -> list[list[int]]:
    """The groups of two images or more."""
    order = np.argsort(label_N, kind="stable")
    cuts = np.flatnonzero(np.diff(label_N[order])) + 1
    return sorted(group.tolist() for group in np.split(order, cuts) if len(group) > 1)
