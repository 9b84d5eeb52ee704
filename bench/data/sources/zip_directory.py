"""A zip archive's directory, an entry at a time, and a member's bytes without the directory.

zipfile keeps an object of a kilobyte for every entry, in each process that reads one of them.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bench.files.extents import member_start
from bench.files.inert_pickle import Damaged

_PART = 2**20  # bytes unpacked together, so that a member that lies about its size is noticed early
_MOST_LZMA = 2**28  # bytes of memory that it may ask for


def read_directory(path: Path, taken: Callable[[zipfile.ZipInfo], None]) -> int:
    """Pass every entry of the archive's directory to `taken`; where the directory begins, in bytes.

    Raises nearly anything for a damaged one.
    """
    with _PassingOn(path, taken) as archive:
        return int(archive.start_dir)


class _PassingOn(zipfile.ZipFile):
    """zipfile's reader, with its lists of entries replaced by one that keeps nothing."""

    def __init__(self, path: Path, taken: Callable[[zipfile.ZipInfo], None]) -> None:
        self._entries = _Entries(taken)
        super().__init__(path)

    @property
    def filelist(self) -> Any:
        return self._entries

    @filelist.setter
    def filelist(self, value: Any) -> None:
        """What zipfile begins with, an empty list, is not needed."""

    @property
    def NameToInfo(self) -> Any:  # noqa: N802  # zipfile's name
        return self._entries

    @NameToInfo.setter
    def NameToInfo(self, value: Any) -> None:  # noqa: N802
        """As of the list."""


class _Entries(list[zipfile.ZipInfo]):
    """A list, and a table, that pass on what is put into them."""

    def __init__(self, taken: Callable[[zipfile.ZipInfo], None]) -> None:
        super().__init__()
        self.append = taken  # type: ignore[method-assign]

    def __setitem__(self, key: Any, value: Any) -> None:
        """The entry has been appended already."""


@dataclass(frozen=True, slots=True)
class Member:
    """What the directory says of a member."""

    header: int  # where its own header begins in the file
    end: int  # where the next header begins, or the directory
    packed: int  # its size, and its size unpacked
    size: int
    crc: int
    method: int


def unpacked(file: BinaryIO, member: Member) -> bytes:
    """The content of a member, at most as long as the directory says, its sum compared.

    Raises Damaged, and what the packers raise, for one that is not what the directory says.
    """
    # Where it begins, by its own header, which must not reach into the next.
    start = member_start(file, member.header)
    if start + member.packed > member.end:
        raise Damaged("lies over the next member")
    file.seek(start)

    # Unpacked in parts, to no more than a byte beyond what it should be.
    unpack = _unpacker(member.method)
    content, left = bytearray(), member.packed
    while left and len(content) <= member.size:
        part = file.read(min(_PART, left))
        if not part:
            raise Damaged("is cut off")
        left -= len(part)
        content += unpack(part, member.size + 1 - len(content))
    if len(content) != member.size:
        raise Damaged(f"has {'more' if len(content) > member.size else 'fewer'} bytes than it says")
    if zlib.crc32(content) != member.crc:
        raise Damaged("its sum is wrong")
    return bytes(content)


def _unpacker(method: int) -> Callable[[bytes, int], bytes]:
    """(part, most) -> what it unpacks to, no more than `most` bytes, after which it is not asked again."""
    if method == zipfile.ZIP_STORED:
        return lambda part, most: part[:most]
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress
    if method == zipfile.ZIP_LZMA:
        return _Lzma().unpack
    raise Damaged(f"is packed by the method {method}")


class _Lzma:
    """LZMA as zip has it: two bytes of version, the length of the properties, the properties, the data."""

    def __init__(self) -> None:
        self._head = b""
        self._lzma: lzma.LZMADecompressor | None = None

    def unpack(self, part: bytes, most: int) -> bytes:
        """What a part unpacks to, no more than `most` bytes."""
        if self._lzma is None:
            self._head += part
            size = int.from_bytes(self._head[2:4], "little")
            if len(self._head) < 4 + size:
                return b""
            if size != 5:
                raise Damaged("has properties of LZMA that are none")
            # They are the head of LZMA's own format, but for the size of all, which may be left open.
            self._lzma = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MOST_LZMA)
            part = self._head[4:9] + b"\xff" * 8 + self._head[9:]
        return self._lzma.decompress(part, most)
