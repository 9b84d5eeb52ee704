"""LMDB's data file, read page by page without its library: its keys in order, and the value of a key.

The library trusts its file: it maps it to memory and follows every offset in it, so that a file that was cut off, or
forged, ends the process. Here each offset is held against the page and the file that it lies in, and nothing is mapped.
Read are the 64-bit formats of LMDB 0.9 (version 1) and 1.0 (version 3); the structures are those of its `mdb.c`.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.files.extents import Extent

MAGIC = b"\xde\xc0\xef\xbe"
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
TYPES = BRANCH | LEAF | OVERFLOW | META | 0x20 | 0x40  # the last two are pages of duplicates
BIG, DATABASE, DUPLICATES = 1, 2, 4  # flags of a record: its value lies on pages of its own, or is no value
ODD_KEYS = 0x02 | 0x04 | 0x08  # a database's flags: keys in another order than their bytes', or given twice
NO_PAGE = 2**64 - 1
DEEPEST = 32  # LMDB's own limit
META_BODY = struct.Struct("<4sIQQ48s48sQQ")  # mark, version, address, map size, two databases, last page, transaction
DATABASE_BODY = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, counts of three kinds of pages, entries, root
PAGE_TAIL = struct.Struct("<HHH")  # the end of a page's header: flags, lower and upper end of its free space
NODE = struct.Struct("<HHHH")  # low and high half of a size or page number, flags or its highest part, key's length


class DamagedError(Exception):
    """The file is not what LMDB writes; the message says where."""


class Record(NamedTuple):
    """A key of the file, and where its value lies."""

    key: bytes
    flags: int
    start: int  # of the value in the data file
    size: int


@dataclass(frozen=True)
class _Form:
    """What differs between the two formats."""

    version: int
    header: int  # bytes of a page's header
    base: int  # where a page's offsets count from
    even: int  # what a key's length is rounded up to


_FORMS = {16: _Form(1, 16, 0, 1), 24: _Form(3, 24, 24, 2)}


def is_data(head: bytes) -> bool:
    """Whether a file that begins like this (at least 32 bytes) is an LMDB data file."""
    return any(head[at : at + 4] == MAGIC for at in _FORMS)


class LmdbFile:
    """An open LMDB data file, which may be a part of another file.

    entries: the records that its main database says it has. Raises DamagedError, also while it is read.
    """

    def __init__(self, extent: Extent) -> None:
        assert isinstance(extent.source, Path)
        self._file = extent.source.open("rb", buffering=0)
        self._start, self._length = extent.start, extent.size
        try:
            self._find_root()
        except BaseException:
            self._file.close()
            raise

    def records(self) -> Iterator[Record]:
        """Every record of the main database, in the order of the keys' bytes.

        No loop and no tree without end: each leaf has a key, and keys only grow.
        """
        pages, last, count = [(self._root, self._depth)] if self._depth else [], b"", 0
        while pages:
            number, level = pages.pop()
            page = self._page(number, LEAF if level == 1 else BRANCH)
            offsets = self._offsets(page, number)
            if level > 1:
                pages.extend((self._node(page, number, at)[0], level - 1) for at in reversed(offsets))
                continue
            for at in offsets:
                record = self._record(page, number, at)
                if record.key <= last:
                    raise DamagedError(f"the keys of page {number} are out of order")
                last, count = record.key, count + 1
                yield record
        if count != self.entries:
            raise DamagedError(f"{count} records where {self.entries} are promised")

    def find(self, key: bytes) -> Record | None:
        """The record of a key."""
        number = self._root
        for level in range(self._depth, 0, -1):
            page = self._page(number, LEAF if level == 1 else BRANCH)
            offsets = self._offsets(page, number)
            key_at = partial(self._key, page, number)
            if level > 1:  # a branch's first key stands for all that is less than the second
                number = self._node(page, number, offsets[bisect_right(offsets, key, 1, key=key_at) - 1])[0]
            elif (place := bisect_left(offsets, key, key=key_at)) < len(offsets):
                record = self._record(page, number, offsets[place])
                return record if record.key == key else None
        return None

    def value(self, record: Record) -> bytes:
        """A record's value."""
        if record.flags & BIG:
            number, inside = divmod(record.start, self._size)
            if inside != self._form.header:
                raise DamagedError("a value that starts inside a page")
            self._page(number, OVERFLOW)
        return self._bytes(record.start, record.size)

    def _find_root(self) -> None:
        head = self._bytes(0, min(self._length, 32))
        at = next((at for at in _FORMS if head[at : at + 4] == MAGIC), None)
        if at is None:
            raise DamagedError("it does not begin as LMDB's files do")
        self._form = _FORMS[at]

        # The two meta pages: the later transaction is the state of the file.
        first, self._size = self._meta(0)
        second, size = self._meta(self._size)
        if size != self._size:
            raise DamagedError("its first two pages disagree")
        main = second[5] if first[7] < second[7] else first[5]
        _, flags, depth, *_, self.entries, self._root = DATABASE_BODY.unpack(main)
        self._depth = 0 if self._root == NO_PAGE else depth
        if flags & ODD_KEYS:
            raise DamagedError("a database of integer, reversed or repeated keys, which is not read")
        if self._depth > DEEPEST or (self._depth == 0) != (self.entries == 0):
            raise DamagedError(f"a tree of {self._depth} levels with {self.entries} records")

    def _meta(self, start: int) -> tuple[tuple, int]:
        page = self._bytes(start, self._form.header + META_BODY.size)
        body = META_BODY.unpack_from(page, self._form.header)
        flags = PAGE_TAIL.unpack_from(page, self._form.header - 6)[0]
        if body[0] != MAGIC or not flags & META:
            raise DamagedError("one of its first two pages is another")
        if body[1] != self._form.version:
            raise DamagedError(f"format version {body[1]}; those of LMDB 0.9 (1) and 1.0 (3) are read")
        size = DATABASE_BODY.unpack(body[4])[0]
        if size not in (256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            raise DamagedError(f"pages of {size} bytes")
        return body, size

    def _bytes(self, start: int, size: int) -> bytes:
        """Bytes of the file; none is reserved for what it does not have."""
        if start + size > self._length:
            raise DamagedError(f"it is cut off: byte {start + size} of {self._length} is referred to")
        data = os.pread(self._file.fileno(), size, self._start + start)
        if len(data) < size:
            raise DamagedError("it became shorter while it was read")
        return data

    def _page(self, number: int, kind: int) -> bytes:
        page = self._bytes(number * self._size, self._size)
        flags = PAGE_TAIL.unpack_from(page, self._form.header - 6)[0]
        if int.from_bytes(page[:8], "little") != number or flags & TYPES != kind:
            raise DamagedError(f"page {number} is not what refers to it says")
        return page

    def _offsets(self, page: bytes, number: int) -> tuple[int, ...]:
        """Where the nodes of a page begin in it."""
        header, base = self._form.header, self._form.base
        lower = PAGE_TAIL.unpack_from(page, header - 6)[1] + base
        count = (lower - header) // 2
        if lower > len(page) or count < 1:
            raise DamagedError(f"page {number} has no room for what it says")
        offsets: tuple[int, ...] = struct.unpack_from(f"<{count}H", page, header)
        return tuple(offset + base for offset in offsets) if base else offsets

    def _node(self, page: bytes, number: int, at: int) -> tuple[int, bytes]:
        """A branch's node: the page below, and its least key. Of a leaf's node only the key is of use."""
        if at + NODE.size > len(page):
            raise DamagedError(f"page {number} refers to what is outside of it")
        low, high, top, length = NODE.unpack_from(page, at)
        return low | high << 16 | top << 32, page[at + 8 : at + 8 + length]

    def _key(self, page: bytes, number: int, at: int) -> bytes:
        return self._node(page, number, at)[1]

    def _record(self, page: bytes, number: int, at: int) -> Record:
        if at + NODE.size > len(page):
            raise DamagedError(f"page {number} refers to what is outside of it")
        low, high, flags, length = NODE.unpack_from(page, at)
        size, start = low | high << 16, at + 8 + length + (length % self._form.even)
        key = page[at + 8 : at + 8 + length]
        if flags & DUPLICATES or len(key) != length:
            raise DamagedError(f"a record of page {number} is of no known form")
        if not flags & BIG:
            if start + size > len(page):
                raise DamagedError(f"a value reaches beyond page {number}")
            return Record(key, flags, number * self._size + start, size)
        pointer = page[start : start + 8]
        place = int.from_bytes(pointer, "little") * self._size + self._form.header
        if len(pointer) < 8 or place + size > self._length:
            raise DamagedError(f"it is cut off: a value ends at byte {place + size} of {self._length}")
        return Record(key, flags, place, size)
