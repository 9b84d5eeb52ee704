"""sha256 of files, remembered while the process lives: a plan of a thousand runs reads each weights file once."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

Times = tuple[int, int, int, int]


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes. Raises OSError where it cannot be read."""
    return _sha256(path.resolve(), times_of(path))


def times_of(path: Path) -> Times:
    """Times, size and inode: they differ once a file is edited or replaced. Zeros where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0, 0
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=1024)
def _sha256(path: Path, times: Times) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
