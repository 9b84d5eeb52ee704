"""What worker processes do with the items of a source: look at a header, take a digest, decode into a row of an array.

Each job is a small picklable object that holds the source and is called with an item's name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from bench.data.marks import Mark, marks
from bench.data.picture import MAX_BYTES, BadPictureError, Content, Fit, Header, NoPictureError, decode, measure
from bench.data.sources.source import BadItemError, Source, TooLargeError

ENDS = 4096  # bytes at the beginning and at the end of a file
Kind = Literal["picture", "bad", "other", "large"]  # "other": of no format that is read; "large": not looked at


@dataclass(frozen=True, slots=True)
class Look:
    """What an item is, by its content. `reason` says why it is not a picture; `header` is there for a picture only."""

    kind: Kind
    outline: tuple[int, int] = (0, 0)  # its size in bytes and a sum of both its ends: equal for copies, and seldom else
    header: Header | None = None
    reason: str = ""


@dataclass(frozen=True)
class LookAt:
    """Name -> Look."""

    source: Source

    def __call__(self, name: str) -> Look:
        """Never raises for what the item holds."""
        try:
            content = self.source.open(name, MAX_BYTES)
            if isinstance(content, np.ndarray):
                return Look("picture", (content.nbytes, zlib.crc32(content.tobytes())), measure(content))
            with content:
                return Look("picture", header=measure(content), outline=_outline(content))
        except NoPictureError as error:
            return Look("other", reason=str(error))
        except TooLargeError as error:
            return Look("large", reason=str(error))
        except (BadPictureError, BadItemError) as error:
            return Look("bad", reason=str(error))
        except OSError as error:
            return Look("bad", reason=f"cannot be read ({error.strerror})")


def _outline(file: BinaryIO) -> tuple[int, int]:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ENDS))
    tail = zlib.crc32(file.read(ENDS))
    file.seek(0)
    return size, zlib.crc32(file.read(ENDS), tail)


@dataclass(frozen=True)
class Digest:
    """Name -> a digest of the item's bytes, by which copies are found; None for an item that cannot be read."""

    source: Source

    def __call__(self, name: str) -> bytes | None:
        """Never raises for what the item holds."""
        try:
            content = self.source.open(name, MAX_BYTES)
            if isinstance(content, np.ndarray):
                return hashlib.blake2b(f"{content.shape}".encode() + content.tobytes()).digest()
            with content:
                return hashlib.file_digest(content, "blake2b").digest()  # type: ignore[arg-type, unused-ignore]
        except (BadItemError, OSError):
            return None


@dataclass(frozen=True)
class DecodeInto:
    """(row, name) -> None, or why the picture cannot be decoded.

    Writes (R, R, 3) uint8 to that row of an array file, past no memory map: a page that is written through one counts
    as the process's memory.
    """

    source: Source
    array: Path
    offset: int  # of the first row in the file
    resolution: int
    fit: Fit = "centre"

    def __call__(self, place: tuple[int, str]) -> str | None:
        """Never raises for what the item holds; OSError where the array cannot be written."""
        row, name = place
        try:
            content: Content = self.source.open(name, MAX_BYTES)
            if isinstance(content, np.ndarray):
                pixels = decode(content, self.resolution, self.fit)
            else:
                with content:
                    pixels = decode(content, self.resolution, self.fit)
        except (BadPictureError, BadItemError) as error:
            return str(error)
        with self.array.open("r+b", buffering=0) as file:
            file.seek(self.offset + row * pixels.nbytes)
            if file.write(pixels.data) < pixels.nbytes:  # what a disk that is full takes of it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.array))
        return None


@dataclass(frozen=True)
class MarkRows:
    """(first row, row after the last) -> the marks of these images of an array file, in order."""

    array: Path
    offset: int
    resolution: int

    def __call__(self, span: tuple[int, int]) -> list[Mark]:
        """Reads all of them into memory."""
        shape = (span[1] - span[0], self.resolution, self.resolution, 3)
        size = self.resolution**2 * 3
        with self.array.open("rb") as file:
            file.seek(self.offset + span[0] * size)
            content = file.read(shape[0] * size)
        return list(marks(np.frombuffer(content, np.uint8).reshape(shape)))


def rows_of(array: np.memmap) -> tuple[Path, int]:
    """The file of a memory map, and where its first row begins: what `DecodeInto` writes to."""
    return Path(str(array.filename)), int(array.offset)
