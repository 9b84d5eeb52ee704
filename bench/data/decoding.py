"""What worker processes do with the items of a source: look at headers, take digests, decode into rows of an array.

Each job is a small picklable object that holds the source and is called with some items together. What it gives back
are rows of arrays: an object for each item would cost as much as a small picture's decoding.
"""

from __future__ import annotations

import errno
import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from bench.data.marks import MARKS, marks, marks_of
from bench.data.picture import MAX_BYTES, BadPictureError, Fit, NoPictureError, decode, measure
from bench.data.sources.per_process import PerProcess
from bench.data.sources.source import BadItemError, Source, TooLargeError
from bench.files.memory_map import PART

ENDS = 4096  # bytes at the beginning and at the end of a file
PICTURE, BAD, OTHER, LARGE = range(4)  # OTHER: of no format that is read; LARGE: of too many bytes to be looked at
# What an item is by its content; of a picture the size upright, whether it moves, the size of its file in bytes and a
# sum of both its ends, which are equal for copies, and seldom else.
LOOKS = np.dtype([("kind", "u1"), ("width", "i4"), ("height", "i4"), ("animated", "?"), ("bytes", "i8"), ("sum", "u4")])


class Look(NamedTuple):
    """One item of LOOKS."""

    kind: int
    width: int = 0
    height: int = 0
    animated: bool = False
    bytes: int = 0
    sum: int = 0


def look_at(source: Source, name: str) -> tuple[Look, str]:
    """What an item is, and, of what is no picture, the reason. Never raises for what the item holds."""
    try:
        content = source.open(name, MAX_BYTES)
        if isinstance(content, np.ndarray):
            header, outline = measure(content), (content.nbytes, zlib.crc32(content.tobytes()))
        else:
            with content:
                header, outline = measure(content), _outline(content)
        return Look(PICTURE, header.width, header.height, header.animated, *outline), ""
    except NoPictureError as error:
        return Look(OTHER), str(error)
    except TooLargeError as error:
        return Look(LARGE), str(error)
    except (BadPictureError, BadItemError) as error:
        return Look(BAD), str(error)
    except OSError as error:
        return Look(BAD), f"cannot be read ({error.strerror})"


@dataclass(frozen=True)
class LookAt:
    """Names -> LOOKS (n,), and the reasons of those that are no pictures, by their places."""

    source: Source

    def __call__(self, names: Sequence[str]) -> tuple[np.ndarray, dict[int, str]]:
        """Never raises for what the items hold."""
        looks, reasons = np.zeros(len(names), LOOKS), {}
        for place, name in enumerate(names):
            looks[place], reason = look_at(self.source, name)
            if reason:
                reasons[place] = reason
        return looks, reasons


def _outline(file: BinaryIO) -> tuple[int, int]:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ENDS))
    tail = zlib.crc32(file.read(ENDS))
    file.seek(0)
    return size, zlib.crc32(file.read(ENDS), tail)


@dataclass(frozen=True)
class Digest:
    """Names -> a digest (n,) "S64" of each item's bytes, by which copies are found; empty where it cannot be read."""

    source: Source

    def __call__(self, names: Sequence[str]) -> np.ndarray:
        """Never raises for what the items hold."""
        return np.array([self._digest(name) for name in names], "S64")

    def _digest(self, name: str) -> bytes:
        try:
            content = self.source.open(name, MAX_BYTES)
            if isinstance(content, np.ndarray):
                return hashlib.blake2b(f"{content.shape}".encode() + content.tobytes()).digest()
            with content:
                return hashlib.file_digest(content, "blake2b").digest()  # type: ignore[arg-type, unused-ignore]
        except (BadItemError, OSError):
            return b""


class Rows(NamedTuple):
    """The rows of an array of pictures in its file: (R, R, 3) uint8 each, `start` is where the first one begins."""

    file: Path
    start: int
    resolution: int

    @property
    def bytes(self) -> int:
        """The size of a row."""
        return 3 * self.resolution**2


def rows_of(array: np.memmap) -> Rows:
    """Where a memory map (N, R, R, 3) has its rows."""
    return Rows(Path(str(array.filename)), int(array.offset), int(array.shape[1]))


class Decoded(NamedTuple):
    """What became of some pictures: which of them were decoded, their marks, and why others were not, by place."""

    done: np.ndarray  # (n,) bool
    marks: np.ndarray  # (n,) MARKS
    reasons: dict[int, str]


@dataclass(frozen=True)
class DecodeInto:
    """(row, name) of some pictures -> Decoded; each is written to its row.

    Not through a memory map: a page that is written through one counts as the process's memory. near: also the marks
    of near copies; None: no marks at all.
    """

    source: Source
    rows: Rows
    fit: Fit = "centre"
    near: bool | None = None
    _file: PerProcess[BinaryIO] = field(default_factory=PerProcess, compare=False)

    def __call__(self, places: Sequence[tuple[int, str]]) -> Decoded:
        """Never raises for what the items hold; OSError where the array cannot be written."""
        decoded = Decoded(np.zeros(len(places), bool), np.zeros(len(places), MARKS), {})
        together = max(1, PART // self.rows.bytes)  # that are in memory
        for start in range(0, len(places), together):
            pictures: dict[int, Image.Image] = {}
            pixels: list[np.ndarray] = []
            for place, (row, name) in enumerate(places[start : start + together], start):
                try:
                    pictures[place] = self.picture(name)
                except (BadPictureError, BadItemError) as error:
                    decoded.reasons[place] = str(error)
                    continue
                pixels.append(np.asarray(pictures[place]))
                self._write(row, pixels[-1])
            if self.near is not None and pictures:
                decoded.marks[list(pictures)] = marks_of(list(pictures.values()), pixels, near=self.near)
            decoded.done[list(pictures)] = True
        return decoded

    def picture(self, name: str) -> Image.Image:
        """R x R pixels of RGB. BadPictureError or BadItemError for one that cannot be decoded."""
        content = self.source.open(name, MAX_BYTES)
        if isinstance(content, np.ndarray):
            return decode(content, self.rows.resolution, self.fit)
        with content:
            return decode(content, self.rows.resolution, self.fit)

    def _write(self, row: int, pixels: np.ndarray) -> None:
        file = self._file.get(lambda: self.rows.file.open("r+b", buffering=0))
        if os.pwrite(file.fileno(), pixels.data, self.rows.start + row * self.rows.bytes) < pixels.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.rows.file))  # a disk that is full


@dataclass(frozen=True)
class MarkRows:
    """Numbers of rows, ascending -> their marks (n,)."""

    rows: Rows
    near: bool

    def __call__(self, numbers: Sequence[int]) -> np.ndarray:
        """Reads all of them into memory, those that follow one another together."""
        content = bytearray()
        with self.rows.file.open("rb") as file:
            for run in np.split(np.asarray(numbers), np.flatnonzero(np.diff(numbers) != 1) + 1):
                file.seek(self.rows.start + int(run[0]) * self.rows.bytes)
                content += file.read(len(run) * self.rows.bytes)
        shape = (len(numbers), self.rows.resolution, self.rows.resolution, 3)
        return marks(np.frombuffer(content, np.uint8).reshape(shape), near=self.near)
