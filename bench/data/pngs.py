"""Generated images as files: a folder of numbered PNGs, one grid, or one array; whole or absent."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data.contact_sheet import contact_sheet
from bench.errors import UserError
from bench.files import atomic
from bench.files.memory_map import allocated, release
from bench.machine.long_work import Passed, progress

GRID = "grid.png"
ARRAY = "samples.npz"
RECORD = "samples.json"  # where the pictures are from


def refuse_taken(folder: Path) -> None:
    """UserError for a folder that holds anything: pictures of two commands must not mix."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"--output {folder}: exists and is not empty; name another folder")


def write_pictures(
    folder: Path,
    batches: Iterable[np.ndarray],
    count: int,
    record: dict[str, Any],
    *,
    grid: bool = False,
    columns: int | None = None,
) -> list[Path]:
    """Write `count` uint8 images (batches N, H, W, 3) to a folder that appears when all are there; returns its PNGs.

    grid: one picture of them all, grid.png, in place of 00000.png and so on; columns: in a row of it [default: as many
    as make it square]. record: goes to samples.json. Raises UserError where the folder holds something, OSError (a
    full disk) after removing what was written.
    """
    with _appearing(folder, record) as scratch:
        images = progress((image for batch_NHWC in batches for image in batch_NHWC), count, "pictures")
        if grid:
            sheet = contact_sheet(np.stack(list(images)), columns=columns or ceil(sqrt(count)))
            sheet.save(scratch / GRID)
        else:
            digits = max(5, len(str(count - 1)))
            for number, image in enumerate(images):
                Image.fromarray(image).save(scratch / f"{number:0{digits}}.png")
    return sorted(folder.glob("*.png"))


def write_array(folder: Path, batches: Iterable[np.ndarray], count: int, record: dict[str, Any]) -> Path:
    """The same images as one array `images` (N, H, W, 3) uint8 in samples.npz, which is written a batch at a time."""
    with _appearing(folder, record) as scratch:
        plain, array, at = scratch / "images.npy", None, 0
        passed = Passed(count, "pictures")
        for batch_NHWC in batches:
            passed.add(len(batch_NHWC))
            if array is None:
                array = allocated(plain, (count, *batch_NHWC.shape[1:]), np.dtype(np.uint8))
            array[at : at + len(batch_NHWC)] = batch_NHWC
            release(array[at : at + len(batch_NHWC)])
            at += len(batch_NHWC)
        passed.end()
        assert array is not None and at == count
        array.flush()
        with zipfile.ZipFile(scratch / ARRAY, "w") as archive:
            archive.write(plain, plain.name)
        plain.unlink()
    return folder / ARRAY


@contextmanager
def _appearing(folder: Path, record: dict[str, Any]) -> Iterator[Path]:
    """A folder to write to, which becomes `folder`, with samples.json, when the block ends, and else is removed."""
    refuse_taken(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield scratch
        atomic.write_json(scratch / RECORD, record)
        scratch.chmod(0o755)  # mkdtemp makes what only its owner can read
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
