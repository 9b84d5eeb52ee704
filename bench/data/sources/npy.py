"""An array in numpy's file format, read a row at a time from where it lies; nothing in it is unpickled."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.data.sources.refusing import refusing
from bench.errors import UserError
from bench.files.extents import Extent
from bench.files.inert_pickle import Damaged

MAGIC = b"\x93NUMPY"
MOST_HEADER = 10_000  # bytes; numpy's own limit for files that it does not trust
BLOCK = 2**24  # bytes of an array that are read together


@dataclass(frozen=True)
class StoredArray:
    """An array in C order, of plain numbers or texts, whose bytes are all there. `extent`: of them, in a file."""

    extent: Extent
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def row_bytes(self) -> int:
        """The size of one row, in bytes."""
        return self.extent.size // self.shape[0] if self.shape[0] else 0

    def rows(self, first: int, count: int) -> np.ndarray:
        """Rows `first` to `first + count`, in memory. OSError where the file has become shorter."""
        data = self.extent.read(first * self.row_bytes, count * self.row_bytes)
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows in order, some megabytes at a time."""
        step = max(1, BLOCK // max(1, self.row_bytes))
        for first in range(0, self.shape[0], step):
            yield self.rows(first, min(step, self.shape[0] - first))


def read_header(extent: Extent, where: str) -> StoredArray:
    """The array in a file of numpy's format, or in a part of one. `where` names it in messages.

    Raises UserError for a damaged header, for objects, and for sizes that are not those of the file.
    """
    with refusing(where, "an array of numpy's .npy format"):
        shape, fortran, dtype, start = _parsed(extent)
    if dtype.hasobject or dtype.kind not in "biufUS":
        what = "Python objects, which are not unpickled" if dtype.hasobject else f"numbers of type {dtype}"
        raise UserError(f"{where}: holds {what}; save it as numbers (uint8)")
    if not shape:
        raise UserError(f"{where}: is a single value, not an array of pictures or labels")
    if fortran and len(shape) > 1:
        raise UserError(
            f"{where}: is in Fortran order, each picture spread over all of it; save np.ascontiguousarray(x)"
        )
    size = math.prod(shape) * dtype.itemsize
    if size != extent.size - start:
        raise UserError(
            f"{where}: its header says {'x'.join(map(str, shape))} of {dtype} ({size:,} bytes), "
            f"but {extent.size - start:,} bytes follow"
        )
    return StoredArray(Extent(extent.source, extent.start + start, size), shape, dtype)


def _parsed(extent: Extent) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether in Fortran order, type, and the length of the header."""
    head = bytes(extent.read(0, min(extent.size, MOST_HEADER)))
    file = io.BytesIO(head)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise Damaged(f"version {version[0]}.{version[1]} of the format")
    width = 2 if version == (1, 0) else 4
    if len(MAGIC) + 2 + width + int.from_bytes(head[8 : 8 + width], "little") > len(head):
        raise Damaged("a header longer than the file or than any that is read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers that Python 2 wrote
        parse = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = parse(file)
    if not all(type(length) is int and length >= 0 for length in shape):
        raise Damaged("lengths that are no counts")
    return tuple(shape), bool(fortran), dtype, file.tell()
