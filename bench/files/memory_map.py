"""Image sets larger than memory: memory maps that are read a part at a time and leave nothing behind.

A page that was read through a map counts as this process's memory until it is given up, although it is only the file
system's cache. A worker that has read every image of a set would seem to need all that memory, and no second worker
would be started beside it.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PART = 32 * 2**20  # bytes of an array that are read together
ROWS = 64  # scattered rows of an array that are read together
SURROUNDINGS = 2 * 2**20  # bytes: the kernel maps no more than these, aligned, around a page that is looked at
# What the kernel is told of the pages to come; systems without these hints read the same bytes.
NORMAL, RANDOM, SOON, DONE = (
    getattr(mmap, f"MADV_{name}", None) for name in ("NORMAL", "RANDOM", "WILLNEED", "DONTNEED")
)


def allocated(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A new array of zeros in a file, to be written to. OSError (ENOSPC) where the disk has no room for all of it."""
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # A full disk is an error here; a write through the map would end the process with SIGBUS.
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def parts(array: np.ndarray, size: int = PART) -> Iterator[np.ndarray]:
    """The array's rows in order, about `size` bytes at a time (at least one row), each part C-contiguous.

    Only a part that is not contiguous in `array` is a copy. Pages of a memory map are given up after each part.
    """
    rows = max(1, size // max(1, array[:1].nbytes))
    _advise(array, NORMAL)
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        yield np.ascontiguousarray(part)
        release(part)


def rows(array: np.ndarray, index_N: np.ndarray) -> np.ndarray:
    """A C-contiguous copy in memory of these rows alone, in this order; a row may be asked for more than once.

    Of a memory map the rows are named to the kernel before they are looked at. It reads them at once, and nothing
    else: left to itself it reads up to megabytes around each row that is looked at, one row after the other.
    """
    chosen = np.empty((len(index_N), *array.shape[1:]), array.dtype)
    _advise(array, RANDOM)
    for start in range(0, len(index_N), ROWS):
        part = index_N[start : start + ROWS]
        _advise(array, SOON, part)
        chosen[start : start + ROWS] = array[part]
        _advise(array, DONE, part)
    return chosen


def copy_rows(source: np.memmap, index_N: np.ndarray, target: np.memmap) -> None:
    """Write these rows of an array on disk to the N rows of another of the same shape of row, past both their maps.

    OSError where the target cannot be written.
    """
    size = int(source[:1].nbytes)
    with open(str(source.filename), "rb", buffering=0) as old, open(str(target.filename), "r+b", buffering=0) as new:  # noqa: PTH123
        for start in range(0, len(index_N), ROWS):
            places = (source.offset + size * index_N[start : start + ROWS].astype(np.int64)).tolist()
            part = b"".join(os.pread(old.fileno(), size, place) for place in places)
            if os.pwrite(new.fileno(), part, target.offset + size * start) < len(part):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.filename))


def update_digest(digest: hashlib._Hash, array: np.ndarray) -> None:
    """Feed the array's bytes in C order to a hash, as `digest.update(array.tobytes())` would, without a copy of it."""
    for part in parts(array):
        digest.update(part.data)


def release(array: np.ndarray) -> None:
    """Give up the pages of the memory map that `array` is, or is a view of; of any other array nothing is done.

    Of a view without gaps they are those of the view and its surroundings: the cost is that of its size, not of the
    map's. Read again, they come from the file (mostly from its cache). Pages of a private copy are left alone: what
    was written there is nowhere else.
    """
    _advise(array, DONE)


def is_mapped(array: np.ndarray) -> bool:
    """Whether `array` is a memory map of a file, or a view of one: its content is read from the disk."""
    return _pages(array) is not None


def _advise(array: np.ndarray, advice: int | None, index_N: np.ndarray | None = None) -> None:
    """Give the kernel a hint on the pages of an array's map: those of all its rows, or of these.

    Of an array with gaps they are those of the whole map, and nothing is said of what is not an array on disk.
    """
    pages = _pages(array)
    if pages is None or advice is None or not len(array):
        return
    if not (isinstance(array, np.ndarray) and array.flags.c_contiguous):
        if index_N is None or advice == DONE:
            pages.madvise(advice)
        return

    # The bytes of each row, or of them all, counted from the beginning of the map.
    start = _address(np.frombuffer(pages, np.uint8, 1))
    begin_N, size = np.array([_address(array) - start]), array.nbytes
    if index_N is not None:
        begin_N, size = begin_N + index_N % len(array) * array[0].nbytes, array[0].nbytes

    # Whole pages; what is given up takes along what the kernel has mapped around it on its own.
    unit = SURROUNDINGS if advice == DONE else mmap.PAGESIZE
    first_N = np.maximum((start + begin_N) // unit * unit - start, 0)
    end_N = np.minimum(-(-(start + begin_N + size) // unit) * unit - start, len(pages))
    for first, end in sorted(set(zip(first_N.tolist(), end_N.tolist(), strict=True))):
        pages.madvise(advice, first, end - first)


def _address(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _pages(array: np.ndarray) -> mmap.mmap | None:
    """The pages of the map that `array` is, or is a view of; None of an array in memory and of a private copy."""
    owner: object = array
    while not isinstance(owner, np.memmap) and hasattr(owner, "base"):  # a view of rows has one too
        owner = owner.base
    if not isinstance(owner, np.memmap) or owner.mode == "c":
        return None
    pages = getattr(owner, "_mmap", None)  # None of an array in memory that was taken from a map
    return pages if isinstance(pages, mmap.mmap) else None
