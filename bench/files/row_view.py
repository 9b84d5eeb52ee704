"""Some rows of an array on disk, read when they are asked for: a part of a set that is larger than memory."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from bench.files.memory_map import is_mapped, rows

IN_MEMORY = 2**30  # bytes: so much of a memory map is copied into memory, more of it is not


def chosen_rows(array: np.ndarray, index_N: np.ndarray) -> np.ndarray:
    """These rows of an array, in this order: a copy in memory, or a `RowView` where the copy would be too large.

    A view has what is asked of training images: length, shape, dtype, rows by number, slice or array of numbers, and
    numpy's functions, which read all of it. It is not a copy where the array is in memory already.
    """
    return rows_on_disk(array, index_N) if len(index_N) * array[:1].nbytes > IN_MEMORY else rows(array, index_N)


def rows_on_disk(array: np.ndarray, index_N: np.ndarray) -> np.ndarray:
    """As `chosen_rows`, but a `RowView` of any memory map: for what is read once, a batch at a time."""
    return cast(np.ndarray, RowView(array, index_N)) if is_mapped(array) else rows(array, index_N)


class RowView:
    """Rows of a memory map by their numbers (N,); what is taken from it is a copy in memory."""

    def __init__(self, base: np.ndarray, index_N: np.ndarray) -> None:
        self.base, self.index_N = base, index_N
        self.shape, self.dtype, self.ndim = (len(index_N), *base.shape[1:]), base.dtype, base.ndim

    @property
    def nbytes(self) -> int:
        """What a copy of the rows would take."""
        return len(self) * self.base[:1].nbytes

    def __len__(self) -> int:
        return len(self.index_N)

    def __getitem__(self, key: Any) -> np.ndarray:
        """The rows of a number, a slice, or an array of numbers or of yes and no; further keys are those of a row."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        chosen = self.index_N[first]
        taken: np.ndarray = rows(self.base, chosen) if np.ndim(chosen) else np.array(self.base[chosen])
        return taken[(slice(None), *rest) if np.ndim(chosen) else tuple(rest)] if rest else taken

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("rows of a memory map are always a copy")
        return rows(self.base, self.index_N).astype(dtype or self.dtype, copy=False)


class Joined:
    """The rows of arrays of one shape, one after the other, without a copy of them: for `chosen_rows`."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.arrays = arrays
        self.base = arrays[0]  # by which it counts as mapped
        self.starts = np.cumsum([0, *map(len, arrays)]).tolist()
        self.shape, self.dtype, self.ndim = (self.starts[-1], *self.base.shape[1:]), self.base.dtype, self.base.ndim

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, key: Any) -> np.ndarray:
        """A copy of the rows of a number, a slice, or an array of numbers or of yes and no."""
        index = np.arange(len(self))[key]
        index_N = np.ravel(index)
        chosen = np.empty((len(index_N), *self.shape[1:]), self.dtype)
        for array, start in zip(self.arrays, self.starts, strict=False):
            inside = (index_N >= start) & (index_N < start + len(array))
            chosen[inside] = rows(array, index_N[inside] - start)
        return chosen.reshape(*np.shape(index), *self.shape[1:])
