"""Generated images as files: a folder of numbered PNGs, or one grid; whole or absent."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.contact_sheet import contact_sheet
from bench.errors import UserError
from bench.files import atomic
from bench.machine.long_work import progress

GRID = "grid.png"
RECORD = "samples.json"  # where the pictures are from


def refuse_taken(folder: Path) -> None:
    """UserError for a folder that holds anything: pictures of two commands must not mix."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"--output {folder}: exists and is not empty; name another folder")


def write_pictures(
    folder: Path, batches: Iterable[np.ndarray], count: int, record: dict[str, Any], *, grid: bool = False
) -> list[Path]:
    """Write `count` uint8 images (batches N, H, W, 3) to a folder that appears when all are there; returns its PNGs.

    grid: one picture of them all, grid.png, in place of 00000.png and so on. record: goes to samples.json. Raises
    UserError where the folder holds something, OSError (a full disk) after removing what was written.
    """
    refuse_taken(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        images = progress((image for batch_NHWC in batches for image in batch_NHWC), count, "pictures")
        if grid:
            contact_sheet(np.stack(list(images)), columns=ceil(sqrt(count))).save(scratch / GRID)
        else:
            digits = max(5, len(str(count - 1)))
            for number, image in enumerate(images):
                Image.fromarray(image).save(scratch / f"{number:0{digits}}.png")
        atomic.write_json(scratch / RECORD, record)
        scratch.chmod(0o755)  # mkdtemp makes what only its owner can read
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return sorted(folder.glob("*.png"))
