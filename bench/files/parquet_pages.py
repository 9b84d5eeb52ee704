"""The sizes of a parquet file's pages, from their headers alone: what reading a column would take is known before it.

A column is stored in pages, each packed by itself. A reader unpacks a page into memory as a whole, and a page of a few
kilobytes can say that it holds two gigabytes. Headers are Thrift's compact protocol (the parquet format's PageHeader).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.files.inert_pickle import Damaged

MOST_HEADER = 2**17  # bytes of one; least and greatest value stand in it, each of which writers cut
DEEPEST = 8  # structs in one another; a page's header has two
# Thrift's types; values of BYTES have as many.
BOOLEANS, BYTES, VARINTS, BINARY, LISTS, STRUCT = (1, 2), {3: 1, 7: 8}, (4, 5, 6), 8, (9, 10), 12


class Page(NamedTuple):
    """One page. size: in bytes, unpacked."""

    size: int
    packed: int


def pages(path: Path, start: int, size: int) -> Iterator[Page]:
    """The pages of a column chunk, `size` bytes of the file from `start` on. Damaged for a header that is none."""
    end, at = start + size, start
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            header = _Header(file.read(min(MOST_HEADER, end - at)))
            fields = header.struct()
            unpacked, packed = fields.get(2, -1), fields.get(3, -1)
            if unpacked < 0 or packed < 0 or at + header.at + packed > end:
                raise Damaged("a page that does not lie in its column")
            yield Page(unpacked, packed)
            at += header.at + packed


class _Header:
    """Thrift's compact protocol, as far as it is passed over. `at`: the bytes read."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """The whole numbers of a struct by their fields' ids; everything else is passed over."""
        fields: dict[int, int] = {}
        last = 0
        while (first := self._byte()) != 0:
            last = last + (first >> 4) if first >> 4 else self._signed()
            kind = first & 15
            if kind in VARINTS:
                fields[last] = self._signed()
            else:
                self._pass(kind, depth, 0)
        return fields

    def _pass(self, kind: int, depth: int, boolean: int) -> None:
        """Move on by one value. boolean: the bytes of one, which a struct's are without."""
        if depth > DEEPEST:
            raise Damaged("a page's header that is too deep")
        if kind in BOOLEANS:
            self._skip(boolean)
        elif kind in BYTES:
            self._skip(BYTES[kind])
        elif kind in VARINTS:
            self._varint()
        elif kind == BINARY:
            self._skip(self._varint())
        elif kind in LISTS:
            first = self._byte()
            count = first >> 4 if first >> 4 < 15 else self._varint()
            for _ in range(self._bounded(count)):
                self._pass(first & 15, depth + 1, 1)
        elif kind == STRUCT:
            self.struct(depth + 1)
        else:  # a map, which no header has, or no type at all
            raise Damaged("a page's header of no known form")

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Damaged("a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._varint()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def _skip(self, count: int) -> None:
        self.at += self._bounded(count)

    def _bounded(self, count: int) -> int:
        if count > len(self._data) - self.at:
            raise Damaged("a page's header that is cut off")
        return count
