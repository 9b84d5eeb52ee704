"""Where the members of a plain tar lie, which may itself be a part of a file: a tar within a tar."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from bench.data.sources.names import DEVICES, LINKS, UNSAFE, leftover, safe_name
from bench.data.sources.refusing import first_line
from bench.errors import UserError
from bench.files.extents import Extent

_PART = 2**20  # bytes looked at together
_MOST_HEADER = 2**20  # bytes of one member's header: a hostile one could ask for gigabytes


def tar_members(file: Extent, where: str, left_out: Counter[str]) -> Iterator[tuple[str, int, int]]:
    """The safe name of every regular file in a plain tar, its offset in the whole file, and its size.

    Links, devices and names that lead out are counted in `left_out`. UserError, with `where` the archive lies, for a
    damaged one.
    """
    assert isinstance(file.source, Path)
    try:
        with file.source.open("rb") as opened:
            part = _Part(opened, file.start, file.size)
            with tarfile.open(fileobj=cast(IO[bytes], part), mode="r:") as archive:
                end = 0
                for member in archive:
                    # A size below zero: tarfile would read the same members for ever, and we the rest of the file
                    if archive.offset <= end or member.size < 0:
                        raise tarfile.ReadError("a member that ends before it begins")
                    end = archive.offset
                    name = _name(member, left_out)
                    if name is not None:
                        yield name, file.start + member.offset_data, member.size
                    archive.members = []  # type: ignore[attr-defined]  # it would keep the headers of millions
                _check_end(part, archive.offset, where)
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything
        raise UserError(f"{where}: is a damaged or unfinished tar archive ({first_line(error)})") from error


def _name(member: tarfile.TarInfo, left_out: Counter[str]) -> str | None:
    """The name of a regular file; None for any other member, which is counted unless it is a folder."""
    if member.isdir():
        return None
    name = safe_name(member.name)
    if name is None:
        left_out[UNSAFE] += 1
    elif member.issym() or member.islnk():
        left_out[LINKS] += 1
    elif not member.isreg() or member.issparse():
        left_out["sparse" if member.issparse() else DEVICES] += 1
    elif kind := leftover(name):
        left_out[kind] += 1
    else:
        return name
    return None


class _Part:
    """A part of a file as a file of its own, for tarfile. Only small pieces are read at once: headers, as it asks."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        if position < 0:
            raise ValueError("a member before the beginning")
        self._at = position
        return position

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes" if size and size > 0 else "a header without an end")
        self._file.seek(self._start + self._at)
        content = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(content)
        return content


def _check_end(part: _Part, offset: int, where: str) -> None:
    """UserError unless members end where the archive does: tarfile takes a damaged header for the end."""
    part.seek(offset)
    while content := part.read(_PART):
        if content.strip(b"\0"):
            raise UserError(
                f"{where}: is damaged, or several archives in one: no member and no end begins at byte {offset:,}"
            )
