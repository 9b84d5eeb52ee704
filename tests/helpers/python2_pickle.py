"""Pickles as Python 2 wrote them, in which CIFAR is published: texts and bytes are both strings of bytes."""

# mypy: ignore-errors

from __future__ import annotations

import pickle
import struct
from io import BytesIO
from typing import Any


class _Pickler(pickle._Pickler):  # the one in Python, whose table can be changed
    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        """SHORT_BINSTRING or BINSTRING, as the length asks."""
        content = value.encode("latin-1") if isinstance(value, str) else value
        short = len(content) < 256
        self.write((b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content))) + content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def dumps(value: Any) -> bytes:
    """The value in protocol 2, with the numpy of that time."""
    file = BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
