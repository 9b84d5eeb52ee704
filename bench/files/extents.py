"""Where bytes lie: a part of a file that is read when it is needed, without a handle to keep."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.files.inert_pickle import Damaged

# The header of a zip's member: mark, lengths of the name and of the extra field.
LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True)
class Extent:
    """A part of a file, or of bytes that are in memory already."""

    source: Path | bytes
    start: int
    size: int

    def read(self, start: int, size: int) -> bytearray:
        """`size` bytes from the extent's byte `start` on. OSError where they are not all there."""
        if isinstance(self.source, bytes):
            data = bytearray(self.source[self.start + start : self.start + start + size])
        else:
            with self.source.open("rb") as file:
                file.seek(self.start + start)
                data = bytearray(file.read(size))
        if len(data) != size:
            raise OSError(f"{size} bytes at {self.start + start} are not all there")
        return data


def member_start(file: IO[bytes], header: int) -> int:
    """Where the bytes of a zip's member begin in the archive, whose own header for it is at `header`."""
    file.seek(header)
    mark, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    if mark != b"PK\x03\x04":
        raise Damaged("a member without a header")
    return header + LOCAL_HEADER.size + name + extra
