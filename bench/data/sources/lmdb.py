"""LMDB, as LSUN is published: a folder with data.mdb, or such a file, whose values are encoded pictures.

The file is read without LMDB's own library (see bench.files.lmdb_pages): no lock file is written, and a damaged file is
an error, not the end of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.data.sources.per_process import PerProcess
from bench.data.sources.source import BadItemError, Item, Source
from bench.errors import UserError
from bench.files.lmdb_pages import DATABASE, DamagedError, LmdbFile, Record, is_lmdb

DATA = "data.mdb"
HEX = "~"  # before a name that is a key in hexadecimal digits; the last of the printable letters, so it sorts last


def data_file(path: Path) -> Path | None:
    """The LMDB data file that `path` is or holds; None if it is neither."""
    file = path / DATA if path.is_dir() else path
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return file if file.name == DATA or is_lmdb(opened.read(32)) else None


class LmdbSource(Source):
    """The records of the main database. An item's name is its key, after "~" in hex where a key is no plain text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: PerProcess[LmdbFile] = PerProcess()

    def items(self) -> Iterator[Item]:
        """One item a record, from the keys alone: nothing is held in memory. UserError for a damaged file."""
        self.left_out.clear()
        try:
            odd = False
            for record in self._file.get(self._opened).records():
                if record.flags & DATABASE:
                    self.left_out["databases inside"] += 1
                elif (name := _name(record.key)).startswith(HEX):
                    odd = True
                else:
                    yield Item(name)
            if odd:  # a second time, only for these: names are in order, and none is kept
                for record in self._file.get(self._opened).records():
                    if not record.flags & DATABASE and (name := _name(record.key)).startswith(HEX):
                        yield Item(name)
        except (DamagedError, OSError) as error:
            raise UserError(f"{self.path}: not an LMDB file that can be read ({error})") from error

    def read(self, name: str, most: int | None = None) -> bytes:
        """The value: an encoded picture."""
        try:
            file = self._file.get(self._opened)
            record: Record | None = file.find(_key(name))
            if record is None or record.flags & DATABASE:
                raise BadItemError("no such record")
            if most is not None and record.size > most:
                raise BadItemError(f"{record.size:,} bytes; at most {most:,} are read")
            return file.value(record)
        except (DamagedError, OSError) as error:
            raise BadItemError(f"the LMDB file is damaged ({error})") from error

    def _opened(self) -> LmdbFile:
        file = data_file(self.path)
        if file is None:
            raise UserError(f"{self.path}: no LMDB data file ({DATA}) is there")
        return LmdbFile(file)


def _name(key: bytes) -> str:
    """Plain, safe text as it is, anything else in hex: two keys never have one name, and names sort as keys do."""
    text = key.decode("latin-1")
    plain = text.isascii() and text.isprintable() and "\\" not in text and not text.startswith(HEX)
    if plain and not {"", ".", ".."} & set(text.split("/")):
        return text
    return HEX + key.hex()


def _key(name: str) -> bytes:
    if not name.startswith(HEX):
        return name.encode()
    try:
        return bytes.fromhex(name.removeprefix(HEX))
    except ValueError as error:
        raise BadItemError("no such record") from error
