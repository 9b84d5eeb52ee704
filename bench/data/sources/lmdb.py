"""LMDB, as LSUN is published: a file data.mdb in a folder or a zip, whose values are encoded pictures.

The file is read without LMDB's own library (see bench.files.lmdb_pages): no lock file is written, and a damaged file is
an error, not the end of the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.data.picture import SUFFIXES
from bench.data.sources.per_process import PerProcess
from bench.data.sources.publisher_files import files_below, holds, missing, publisher_files
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.errors import UserError
from bench.files.extents import Extent
from bench.files.lmdb_pages import DATABASE, DamagedError, LmdbFile, Record, is_data

DATA = "data.mdb"
LOCK = "lock.mdb"
HEX = "~"  # before a name that is a key in hexadecimal digits; the last of the printable letters, so it sorts last
HEAD = 1024  # bytes by which a file is known
LOOKED_AT = 1000  # files of a folder by which it is known


def is_lmdb(path: Path, head: bytes) -> bool:
    """Whether a path is an LMDB data file, a folder of one without pictures beside it, or an archive of one.

    head: the first bytes of a file, empty for a folder.
    """
    if not path.is_dir():
        return is_data(head) or path.name == DATA or holds(path, head, lambda names: DATA in names)
    try:
        beside = list(islice(files_below(path, 1), LOOKED_AT))
    except OSError:  # a folder that cannot be listed is named by who reads it
        return False
    return any(file.name == DATA for file in beside) and not any(file.suffix.lower() in SUFFIXES for file in beside)


class LmdbSource(Source):
    """The records of the main database. An item's name is its key, after "~" in hex where a key is no plain text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._extent: Extent | None = None
        self._file: PerProcess[LmdbFile] = PerProcess()

    def items(self) -> Iterator[Item]:
        """One item a record, from the keys alone: nothing is held in memory. UserError for a damaged file."""
        self.left_out.clear()
        self._extent = None
        self._file.drop()
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
                raise too_large(record.size, most)
            return file.value(record)
        except (DamagedError, OSError) as error:
            raise BadItemError(f"the LMDB file is damaged ({error})") from error

    def _opened(self) -> LmdbFile:
        if self._extent is None:
            self._extent = self._find()
        return LmdbFile(self._extent)

    def _find(self) -> Extent:
        """Where the data file lies. What lies beside it is counted."""
        if self.path.is_dir():
            names = {file.name for file in files_below(self.path, 1)}
            if DATA not in names:
                raise UserError(f"{self.path}: no LMDB data file ({DATA}) is there")
            self.left_out.update(["other files"] * len(names - {DATA, LOCK}))
            return Extent(self.path / DATA, 0, (self.path / DATA).stat().st_size)
        with self.path.open("rb") as file:
            head = file.read(HEAD)
        if is_data(head) or self.path.name == DATA:
            return Extent(self.path, 0, self.path.stat().st_size)
        files = publisher_files(self, {DATA, LOCK}.__contains__)
        missing(files, [DATA], self.path)
        return files[DATA]


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
