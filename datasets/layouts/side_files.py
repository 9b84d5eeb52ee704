"""Side files of a release: lists, attribute tables and MATLAB arrays, found by name and read within bounds.

A side file may lie anywhere among the items. Where the container is an archive it may also lie beside it, since several
publishers offer the pictures in one file and the labels in others.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from bench.data.sources.source import BadItemError, Item, Source
from bench.errors import UserError

MOST_TEXT = 256 * 2**20  # bytes; the list of Places365 has 62 MB, CelebA's attributes 26 MB
MOST_MATLAB = 256 * 2**10  # those of Oxford-102 have 15 kB; what zlib makes of 256 kB stays below 300 MB
MOST_ELEMENTS = 10_000_000
NUMBERS = frozenset(("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "single", "double"))


@dataclass(frozen=True)
class SideFile:
    """One side file and its content. `where` is what messages name."""

    where: str
    content: bytes

    def text(self) -> str:
        """Its content as text. UserError for what is none."""
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.where}: is no text, at byte {error.start}") from error

    def lines(self) -> list[str]:
        """Its lines of text, without those that are empty. UserError for what is no text."""
        return [line for line in self.text().splitlines() if line.strip()]

    def table(self, columns: int) -> list[list[str]]:
        """Its lines, each divided at blanks into this many fields; the last field keeps its blanks."""
        rows = [line.split(maxsplit=columns - 1) for line in self.lines()]
        for number, row in enumerate(rows, 1):
            if len(row) != columns:
                raise UserError(f"{self.where}: entry {number} has {len(row)} fields, not {columns}")
        return rows

    def matlab(self, key: str) -> np.ndarray:
        """The numbers of one variable of a MATLAB file, in a row. UserError for any other content."""
        try:
            found = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(self.content))}
            if key not in found:
                raise UserError(f"{self.where}: has no variable '{key}', but {', '.join(sorted(found)) or 'none'}")
            shape, kind = found[key]
            # Its size is known before it is in memory, and a cell or an object is not read at all.
            if kind not in NUMBERS or any(side < 0 for side in shape) or np.prod(shape, dtype=float) > MOST_ELEMENTS:
                raise UserError(f"{self.where}: '{key}' is {kind} {shape}, not a list of numbers")
            numbers = np.asarray(loadmat(io.BytesIO(self.content), variable_names=[key])[key])
        except _DAMAGED as error:
            raise UserError(f"{self.where}: is not a MATLAB file that can be read ({error})") from error
        return numbers.ravel()


# What scipy raises for a file that is cut off or altered.
_DAMAGED = (
    MatReadError, ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, NotImplementedError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


def find(source: Source, items: Sequence[Item], name: str, most: int = MOST_TEXT) -> SideFile | None:
    """The side file of this name; None if there is none. UserError if there are two, or it cannot be read."""
    found = [item.name for item in items if item.name.rpartition("/")[2] == name]
    if len(found) > 1:
        raise UserError(f"{source.path}: has {name} more than once: {found[0]} and {found[1]}")
    if not found:
        return _beside(source, name, most)
    return read_side_file(source, found[0], most)


def read_side_file(source: Source, name: str, most: int = MOST_TEXT) -> SideFile:
    """The side file that is the item of this name. UserError where it cannot be read."""
    where = f"{source.path}/{name}"
    try:
        content = source.read(name, most)
    except BadItemError as error:
        raise UserError(f"{where}: {error}") from error
    if not isinstance(content, bytes):
        raise UserError(f"{where}: is an array, not a file")
    return SideFile(where, content)


def need(source: Source, items: Sequence[Item], name: str, most: int = MOST_TEXT) -> SideFile:
    """The side file of this name. UserError if there is none."""
    found = find(source, items, name, most)
    if found is None:
        beside = "" if source.path.is_dir() else " or beside it"
        raise UserError(f"{source.path}: {name} is missing; put it in there{beside}, as its publisher has it")
    return found


def _beside(source: Source, name: str, most: int) -> SideFile | None:
    """A regular file beside an archive, not a link."""
    path = source.path.parent / name
    try:
        if source.path.is_dir() or not stat.S_ISREG((status := path.lstat()).st_mode):
            return None
        if status.st_size > most:
            raise UserError(f"{path}: {status.st_size:,} bytes; at most {most:,} are read")
        return SideFile(str(path), path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
