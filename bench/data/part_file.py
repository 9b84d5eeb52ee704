"""A file that is still being fetched: NAME.part, and beside it what its server calls the state of the file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from bench.errors import UserError
from bench.files import atomic


class PartFile:
    """An open NAME.part; `pieced` says whether its bytes may be of more than one answer."""

    def __init__(self, target: Path, file: FileIO) -> None:
        self.target, self.path = target, part_path(target)
        self._file = file
        self._note = target.with_name(f"{target.name}.part.json")
        self.pieced = self.size() > 0

    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self._file.fileno()).st_size

    def begin(self, url: str, validator: str | None) -> None:
        """Before the first byte of an answer."""
        self.pieced = self.size() > 0
        atomic.write_json(self._note, {"url": url, "validator": validator})

    def validator(self, url: str) -> str | None:
        """What this address's server called the state of the file that the bytes are of; None if that is not known."""
        try:
            note = json.loads(self._note.read_text())
            return note["validator"] if note["url"] == url and isinstance(note["validator"], str) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # without it the sum alone decides

    def append(self, data: bytes) -> None:
        """Raises OSError (for example ENOSPC); what was written before stays."""
        while data:
            data = data[self._file.write(data) :]

    def clear(self) -> None:
        """Back to no bytes at all."""
        self._file.truncate(0)
        self._note.unlink(missing_ok=True)
        self.pieced = False

    def sha256(self) -> str:
        """Of what is there."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def publish(self) -> None:
        """Give the file its name, flushed to the disk."""
        os.fsync(self._file.fileno())
        self.path.rename(self.target)
        self._note.unlink(missing_ok=True)


def part_path(target: Path) -> Path:
    """Where a file is while it is fetched."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def part_file(target: Path) -> Iterator[PartFile]:
    """The part of a file, for this process alone; an empty one leaves nothing. UserError while another has it."""
    path = part_path(target)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with FileIO(os.open(path, flags, 0o644), "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = path.is_file() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except BlockingIOError:
            locked = False
        if not locked:
            raise UserError(f"{path}: another process is fetching it; wait for that one")
        part = PartFile(target, file)
        try:
            yield part
        finally:
            if path.is_file() and not part.size():
                part.clear()
                path.unlink()
