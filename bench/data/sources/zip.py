"""A zip archive as a source: members are read one at a time into memory, never to files of their own names."""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bench.data.sources.member_table import MemberTable
from bench.data.sources.names import ENCRYPTED, REPEATED, UNSAFE, leftover, safe_name, special
from bench.data.sources.per_process import PerProcess
from bench.data.sources.refusing import first_line
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.data.sources.zip_directory import Member, read_directory, unpacked
from bench.errors import UserError


class ZipSource(Source):
    """The files of a zip archive. Links, devices, encrypted members and names that lead out of it are counted.

    Of two members of one name, the later in the archive's directory counts, as for every program that unpacks them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members = MemberTable(6)  # the fields of `Member`
        self._file: PerProcess[BinaryIO] = PerProcess()

    def items(self) -> Iterator[Item]:
        """Every file, sorted by name. UserError for an archive whose directory cannot be read."""
        self.left_out.clear()
        self._members, headers = MemberTable(6), array("q")  # of all entries, also of those that are no members here

        def take(info: zipfile.ZipInfo) -> None:
            headers.append(info.header_offset)
            self._take(info)

        try:
            headers.append(read_directory(self.path, take))
        except Exception as error:  # a damaged archive raises nearly anything
            raise UserError(f"{self.path}: is a damaged or unfinished zip archive ({first_line(error)})") from error
        self.left_out[REPEATED] += self._members.complete()
        _fill_ends(self._members, np.unique(headers))
        self.left_out = +self.left_out
        return map(Item, self._members)

    def read(self, name: str, most: int | None = None) -> bytes:
        """A member's content. BadItemError for a damaged one, and for one larger than `most`."""
        member = Member(*self._members[name])
        if most is not None and member.size > most:
            raise too_large(member.size, most)
        try:
            return unpacked(self._file.get(lambda: self.path.open("rb")), member)
        except Exception as error:  # a damaged archive raises nearly anything
            raise BadItemError(f"cannot be unpacked ({first_line(error)})") from error

    def _take(self, info: zipfile.ZipInfo) -> None:
        """Note an entry of the directory, or count it."""
        if info.filename.endswith(("/", "\\")):  # a folder, which has no content
            return
        name = safe_name(info.filename)
        kind = _refused(info) if name else UNSAFE
        if kind or (kind := leftover(name or "")):
            self.left_out[kind] += 1
            return
        assert name is not None
        self._members.append(
            name, info.header_offset, 0, info.compress_size, info.file_size, info.CRC, info.compress_type
        )


def _fill_ends(members: MemberTable, starts: np.ndarray) -> None:
    """Each member ends before the next of `starts`, those of all headers and of the directory, ascending."""
    headers, ends = members.column(0), members.column(1)
    for place, after in enumerate(np.searchsorted(starts, headers, side="right").tolist()):
        ends[place] = int(starts[after]) if after < len(starts) else headers[place]


def _refused(info: zipfile.ZipInfo) -> str | None:
    """The kind of a member that is no plain file; None for one that is."""
    if info.flag_bits & 1:
        return ENCRYPTED
    return special(info.external_attr >> 16)
