"""A zip archive as a source: members are read one at a time into memory, never to files of their own names."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from bench.data.sources.names import ENCRYPTED, REPEATED, UNSAFE, leftover, safe_name, special
from bench.data.sources.per_process import PerProcess
from bench.data.sources.refusing import first_line
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.errors import UserError

_PART = 2**20  # bytes unpacked together, so that a member that lies about its size is noticed early


class ZipSource(Source):
    """The files of a zip archive. Links, devices, encrypted members and names that lead out of it are counted.

    Of two members of one name, the later in the archive's directory counts, as for every program that unpacks them.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._members: dict[str, int] = {}  # name -> place in the archive's directory
        self._zip: PerProcess[zipfile.ZipFile] = PerProcess()

    def items(self) -> Iterator[Item]:
        """Every file, sorted by name. UserError for an archive whose directory cannot be read."""
        self.left_out.clear()
        self._members.clear()
        try:
            infos = self._archive().infolist()
        except Exception as error:  # a damaged archive raises nearly anything
            raise UserError(f"{self.path}: is a damaged or unfinished zip archive ({first_line(error)})") from error
        for place, info in enumerate(infos):
            if info.filename.endswith(("/", "\\")):  # a folder, which has no content
                continue
            name = safe_name(info.filename)
            kind = _refused(info) if name else UNSAFE
            if kind or (kind := leftover(name or "")):
                self.left_out[kind] += 1
                continue
            assert name is not None
            self.left_out[REPEATED] += name in self._members
            self._members[name] = place
        self.left_out = +self.left_out
        return (Item(name) for name in sorted(self._members))

    def read(self, name: str, most: int | None = None) -> bytes:
        """A member's content. BadItemError for a damaged one, and for one larger than `most` by word or in truth."""
        place = self._members[name]
        content = bytearray()
        try:
            info = self._archive().infolist()[place]
            if most is not None and info.file_size > most:
                raise too_large(info.file_size, most)
            with self._archive().open(info) as member:
                while part := member.read(_PART):
                    content += part
                    if most is not None and len(content) > most:
                        raise too_large(len(content), most)
        except BadItemError:
            raise
        except Exception as error:  # a damaged archive raises nearly anything
            raise BadItemError(f"cannot be unpacked ({first_line(error)})") from error
        return bytes(content)

    def _archive(self) -> zipfile.ZipFile:
        return self._zip.get(lambda: zipfile.ZipFile(self.path))


def _refused(info: zipfile.ZipInfo) -> str | None:
    """The kind of a member that is no plain file; None for one that is."""
    if info.flag_bits & 1:
        return ENCRYPTED
    return special(info.external_attr >> 16)
