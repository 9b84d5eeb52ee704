"""Files that are either whole or absent: write beside the target, flush to disk, rename."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Path, inside: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write to, which replaces `path` in one step when the block ends.

    A full disk, an exception or a kill leaves the old file as it was.
    inside: a folder that must exist already. At most one folder below it is made; without it all of them are.
    Raises OSError (for example ENOSPC) after removing the partial temporary file.
    """
    if inside is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif path.parent != inside:
        path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, inside: Path | None = None) -> None:
    """Replace `path` by `data` in one step, as `replacing` does."""
    with replacing(path, inside) as file:
        file.write(data)


def write_text(path: Path, text: str, inside: Path | None = None) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode(), inside)


def write_json(path: Path, value: Any, inside: Path | None = None) -> None:
    """`write_bytes` for one JSON document: sorted keys, so equal values give equal files."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=True) + "\n", inside)
