"""A tar archive as a source: its members' places are noted once, then each is read from where it lies.

A compressed tar can only be read from its beginning, and worker processes read members in any order: it is unpacked
once, to one file in the scratch folder that the build deletes. Members never become files of their own names.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from bench.data.sources.member_table import MemberTable
from bench.data.sources.names import REPEATED
from bench.data.sources.per_process import PerProcess
from bench.data.sources.refusing import first_line
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.data.sources.tar_members import tar_members
from bench.errors import UserError
from bench.files.extents import Extent

_PART = 2**20  # bytes copied together
UNPACKED = (2**30, 100)  # bytes, and times the packed size: a tar that unpacks to more than both is a bomb
SPARE = 2**28  # bytes that stay free on the disk
_BLOCK = tarfile.BLOCKSIZE


def _zstd(path: Path) -> IO[bytes]:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise UserError(f"{path}: is packed by zstd, which needs Python 3.14; unpack it first (`unzstd`)") from error
    opened: IO[bytes] = zstd.open(path, "rb")
    return opened


# The first bytes of a compressed file, and what reads it.
PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}


class TarSource(Source):
    """The regular files of a tar archive. Links, devices and names that lead out of it are counted.

    Of two members of one name the later counts: that is how an archive is updated. unpacked: the name of the file in
    the scratch folder that a compressed one is unpacked to.
    """

    def __init__(self, path: Path, unpacked: str = "unpacked.tar") -> None:
        super().__init__(path)
        self._unpacked = unpacked
        self._plain = path  # the archive itself, or what it was unpacked to
        self._members = MemberTable(2)  # offset and size in `_plain`
        self._file: PerProcess[BinaryIO] = PerProcess()

    def items(self) -> Iterator[Item]:
        """Every file, sorted by name. UserError for a damaged archive and for one that is a bomb."""
        self.left_out.clear()
        with self.path.open("rb") as file:
            head = file.read(max(map(len, PACKED)))
        unpack = next((unpack for start, unpack in PACKED.items() if head.startswith(start)), None)
        if unpack is not None and self._plain == self.path:
            if self.scratch is None:
                raise ValueError("a compressed tar needs a scratch folder")
            plain = self.scratch / self._unpacked
            _unpack(self.path, unpack, plain)
            self._plain = plain
        self._members = MemberTable(2)
        for member in self._found():
            self._members.append(*member)
        if repeated := self._members.complete():
            self.left_out[REPEATED] += repeated
        return map(Item, self._members)

    def read(self, name: str, most: int | None = None) -> bytes:
        """A member's content. BadItemError for one that is cut off, or larger than `most`."""
        offset, size = self._members[name]
        if most is not None and size > most:
            raise too_large(size, most)
        try:
            file = self._file.get(lambda: self._plain.open("rb"))
            file.seek(offset)
            content = file.read(size)
        except OSError as error:
            raise BadItemError(f"cannot be read ({error.strerror})") from error
        if len(content) < size:
            raise BadItemError(f"is cut off after {len(content):,} of {size:,} bytes")
        return content

    def extent(self, name: str) -> Extent:
        """Where a member's bytes lie, for readers of files that hold many pictures each."""
        offset, size = self._members[name]
        return Extent(self._plain, offset, size)

    def _found(self) -> Iterator[tuple[str, int, int]]:
        """Name, offset and size of every file of the archive as it lies in `_plain`."""
        whole = Extent(self._plain, 0, self._plain.stat().st_size)
        return tar_members(whole, str(self.path), self.left_out)


def _unpack(path: Path, unpack: Callable[[Path], Any], target: Path) -> None:
    """Unpack a compressed file; UserError for a damaged one, and before it fills the disk or proves to be a bomb."""
    bound = max(UNPACKED[0], UNPACKED[1] * path.stat().st_size)
    done = 0
    try:
        with unpack(path) as packed, target.open("wb") as plain:
            while part := packed.read(_PART):
                if not done and part[:_BLOCK].strip(b"\0"):  # of what is no tar, nothing is unpacked
                    tarfile.TarInfo.frombuf(part[:_BLOCK], "utf-8", "surrogateescape")
                done += len(part)
                if done > bound:
                    raise UserError(
                        f"{path}: unpacks to more than {bound:,} bytes, {UNPACKED[1]} times its size: "
                        "that is no archive of pictures"
                    )
                if done % (64 * _PART) < _PART and shutil.disk_usage(target.parent).free < SPARE:
                    raise UserError(
                        f"{path}: unpacking it fills the disk of {target.parent}; BENCH_CACHE names another place"
                    )
                plain.write(part)
    except Exception as error:  # a damaged archive raises nearly anything
        # An error with a number is the disk's, not the format's: bz2 reports damage without one.
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise UserError(f"{path}: is no tar archive, or a damaged or unfinished one ({first_line(error)})") from error
