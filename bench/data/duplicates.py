"""Exact and near duplicates among images: copies that were re-encoded, resized, brightened, mirrored or cut a little.

A perceptual hash proposes pairs, and their pixels decide. The hash alone would lump together drawings of one style,
flat pictures and handwritten digits: it keeps 64 signs of a picture's coarse shape, whatever the contrast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.data.hashes import close_pairs
from bench.data.marks import MARKS, SIDE, marks, small
from bench.files.memory_map import release

DISTANCE = 7  # bits of 64
FLAT = 2.0  # grey levels: with less contrast than this a picture has nothing but its colour
PAIRS_AT_ONCE = 2048
KEPT = 2**15  # small pictures in memory, 25 MB


def exact_duplicates(*arrays: np.ndarray) -> list[list[int]]:
    """Groups of images with equal pixels, numbered and sorted as by `near_duplicates`."""
    return _groups(_equal(_all_marks(arrays, near=False)["digest"]))


def near_duplicates(*arrays: np.ndarray, distance: int = DISTANCE, marked: np.ndarray | None = None) -> list[list[int]]:
    """Groups of images that are copies of one another, exact copies included, sorted.

    arrays: images (N, R, R, 3) uint8 of one resolution, numbered through all of them; a map is read in parts.
    distance: the most bits in which the hashes of two copies differ, 0 to 15. Two images are in one group if they are
    copies, or if a chain of copies joins them. marked: the marks (N,) of all images, where they are known already.
    """
    marks_N = marked if marked is not None else _all_marks(arrays)
    group_N = _equal(marks_N["digest"])
    # Equal images count once: else ten thousand times one picture would be fifty million pairs.
    first_M = np.unique(group_N, return_index=True)[1]
    marks_M = marks_N if len(first_M) == len(marks_N) else marks_N[first_M]
    pictures = _Pixels(arrays, first_M)
    joined = _Joined(len(first_M))
    joined.add(_flat_pairs(marks_M))
    for pairs, mirrored in _proposed(marks_M, distance):
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            new = joined.apart(pairs[start : start + PAIRS_AT_ONCE])
            if len(new):
                joined.add(new[_are_copies(pictures, new, mirrored)])
    return _groups(joined.label_M[group_N])


def _are_copies(pictures: _Pixels, pairs: np.ndarray, mirrored: bool) -> np.ndarray:
    """Whether the images of each pair (n, 2) are copies, bool (n,)."""
    from bench.data.copies import SmallPictures  # here, as in `_Joined.add`

    which, places = np.unique(pairs, return_inverse=True)
    return SmallPictures(pictures.pixels(which)).copies(places.reshape(-1, 2), mirrored)


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
            # Here: most sets have nothing to join, and scipy's graphs take as long to import as a hundred pictures.
            from scipy.sparse import coo_array
            from scipy.sparse.csgraph import connected_components

            one, other = self.label_M[pairs].T
            count = int(self.label_M.max()) + 1
            graph = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(count, count))
            self.label_M = connected_components(graph, directed=False)[1][self.label_M]


class _Pixels:
    """Images made 16 x 16 pixels, read when they are needed: few images have another one whose hash is close.

    KEPT of them are remembered, and when these are too few, they are forgotten.
    """

    def __init__(self, arrays: Sequence[np.ndarray], index_M: np.ndarray) -> None:
        self._arrays, self._index_M = arrays, index_M
        self._starts = np.cumsum([0, *(len(array) for array in arrays)])
        self._place_M = np.full(len(index_M), -1, np.int32)  # among those that are remembered
        self._kept = 0
        # Takes no memory where nothing was written.
        self._pixels = np.empty((min(len(index_M), KEPT), SIDE, SIDE, 3), np.uint8)

    def pixels(self, which: np.ndarray) -> np.ndarray:
        """Of these different images, (n, 16, 16, 3) float32; n at most KEPT."""
        new = which[self._place_M[which] < 0]
        if self._kept + len(new) > len(self._pixels):
            self._place_M[:], self._kept, new = -1, 0, which
        for place, number in enumerate(new.tolist(), self._kept):
            self._pixels[place] = small(self._image(self._index_M[number]))
            self._place_M[number] = place
        self._kept += len(new)
        for array in self._arrays:
            release(array)
        return self._pixels[self._place_M[which]].astype(np.float32)

    def _image(self, index: int) -> np.ndarray:
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        image: np.ndarray = self._arrays[which][index - self._starts[which]]
        return image


def _flat_pairs(marks_M: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) that join all flat images of one colour, rounded to whole grey levels."""
    flat = np.flatnonzero(marks_M["contrast"] < FLAT)
    _, first, which = np.unique(marks_M["mean"][flat].round(), axis=0, return_index=True, return_inverse=True)
    return np.stack([flat[first][which.reshape(-1)], flat], axis=1)


def _proposed(marks_M: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Pairs (n, 2) of images with contrast whose hashes are close, and whether it is the hash of the mirror image."""
    textured = np.flatnonzero(marks_M["contrast"] >= FLAT)
    straight, mirrored = marks_M["straight"][textured], marks_M["mirrored"][textured]
    for other, is_mirrored in ((straight, False), (mirrored, True)):
        for pairs in close_pairs(straight, other, distance):
            yield textured[pairs], is_mirrored


def _equal(digests: np.ndarray) -> np.ndarray:
    """The number (N,) of each image's group of equal images, in the order of their first images."""
    _, first, group_N = np.unique(digests, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[group_N]


def _groups(label_N: np.ndarray) -> list[list[int]]:
    """The groups of two images or more."""
    alike = np.bincount(label_N) > 1
    order = np.flatnonzero(alike[label_N])
    order = order[np.argsort(label_N[order], kind="stable")]
    cuts = np.flatnonzero(np.diff(label_N[order])) + 1
    return sorted(group.tolist() for group in np.split(order, cuts) if len(group))


def _all_marks(arrays: Sequence[np.ndarray], *, near: bool = True) -> np.ndarray:
    return np.concatenate([np.empty(0, MARKS), *(marks(array, near=near) for array in arrays)])
