"""The head of a PNG: its size, without decoding a picture."""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, as the file's first chunk says. Raises ValueError for what is no PNG."""
    if not data.startswith(PNG) or len(data) < 33 or data[12:16] != b"IHDR":
        raise ValueError("is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height
