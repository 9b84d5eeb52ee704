"""Image sets larger than memory: memory maps that are read a part at a time and leave nothing behind.

A page that was read through a map counts as this process's memory until it is given up, although it is only the file
system's cache. A worker that has read every image of a set would seem to need all that memory, and no second worker
would be started beside it.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator

import numpy as np

PART = 32 * 2**20  # bytes of an array that are read together
ROWS = 64  # scattered rows of an array that are read together


def parts(array: np.ndarray, size: int = PART) -> Iterator[np.ndarray]:
    """The array's rows in order, about `size` bytes at a time (at least one row), each part C-contiguous.

    Only a part that is not contiguous in `array` is a copy. Pages of a memory map are given up after each part.
    """
    rows = max(1, size // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows])
        release(array)


def rows(array: np.ndarray, index_N: np.ndarray) -> np.ndarray:
    """A C-contiguous copy in memory of these rows alone, in this order; a row may be asked for more than once.

    The kernel maps the surroundings of each row that is looked at, so that even a few rows are read in parts.
    """
    chosen = np.empty((len(index_N), *array.shape[1:]), array.dtype)
    for start in range(0, len(index_N), ROWS):
        chosen[start : start + ROWS] = array[index_N[start : start + ROWS]]
        release(array)
    return chosen


def update_digest(digest: hashlib._Hash, array: np.ndarray) -> None:
    """Feed the array's bytes in C order to a hash, as `digest.update(array.tobytes())` would, without a copy of it."""
    for part in parts(array):
        digest.update(part.data)


def release(array: np.ndarray) -> None:
    """Give up the pages of the memory map that `array` is, or is a view of; of any other array nothing is done.

    Read again, they come from the file (mostly from its cache). Pages of a private copy are left alone: what was
    written there is nowhere else.
    """
    pages = _pages(array)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def is_mapped(array: np.ndarray) -> bool:
    """Whether `array` is a memory map of a file, or a view of one: its content is read from the disk."""
    return _pages(array) is not None


def _pages(array: np.ndarray) -> mmap.mmap | None:
    """The pages of the map that `array` is, or is a view of; None of an array in memory and of a private copy."""
    owner: object = array
    while not isinstance(owner, np.memmap) and hasattr(owner, "base"):  # a view of rows has one too
        owner = owner.base
    if not isinstance(owner, np.memmap) or owner.mode == "c":
        return None
    pages = getattr(owner, "_mmap", None)  # None of an array in memory that was taken from a map
    return pages if isinstance(pages, mmap.mmap) else None
