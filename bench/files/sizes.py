"""How much room a folder takes."""

from __future__ import annotations

import os
from pathlib import Path


def folder_bytes(folder: Path | str) -> int:
    """Bytes of all files in a folder and in those below it; links are not followed. A file that goes meanwhile is 0."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                inside = entry.is_dir(follow_symlinks=False)
                total += folder_bytes(entry.path) if inside else entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return total
