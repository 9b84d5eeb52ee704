"""The pictures that a build has converted, on disk with what is known of each, so that a later build goes on with them.

They are those of one source, of certain pictures in it, and of one way to convert them: all that decides their pixels
is in the key, and what lies there of another key is thrown away. What a machine that lost power had not written yet is
noticed by the pictures' marks and converted again. So a set is the same, bit for bit, however often its build ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL
from PIL import features

from bench.data.builder import Order
from bench.data.decoding import Decoded, MarkRows, rows_of
from bench.data.marks import MARKS
from bench.data.picture import Fit
from bench.data.sources.source import Source
from bench.files import atomic
from bench.files.digests import times_of
from bench.files.memory_map import allocated
from bench.machine.workers import Workers

RECORD = "journal.json"
PARTS = ("array", "marks", "done")  # of each a file, with the key in its name: no late write can meet another key's
CODECS = ("jpg", "libjpeg_turbo", "jpg_2000", "zlib", "zlib_ng", "libtiff", "webp", "avif")


@dataclass(frozen=True)
class Journal:
    """Rows of pictures: their pixels (N, R, R, 3) uint8, their marks (N,) MARKS, and which of them are there, (N,)."""

    array: np.memmap
    marks: np.memmap
    done: np.memmap

    def note(self, rows: np.ndarray, decoded: Decoded) -> None:
        """Keep what became of the pictures of these rows, whose pixels are in the array."""
        done = rows[decoded.done]
        self.marks[done] = decoded.marks[decoded.done]
        self.done[done] = True

    def check(self, workers: Workers, what: str, near: bool) -> None:
        """Forget every row whose pixels are not those that were noted; say how many are left."""
        kept = np.flatnonzero(self.done)
        job = MarkRows(rows_of(self.array), near)
        for start, found in workers.chunks(job, cast(Sequence[int], kept), f"{what}, checking what was kept"):
            rows = kept[start : start + len(found)]
            self.done[rows] = found == self.marks[rows]
        self.marks[~self.done] = np.zeros((), MARKS)
        if len(kept):
            count, pictures = int(self.done.sum()), len(self.done)
            print(f"going on with {count:,} of {pictures:,} pictures that an earlier build converted", file=sys.stderr)


def open_journal(order: Order, key: str, count: int) -> Journal:
    """The journal of a key in the order's scratch folder: as a killed build left it, or with no picture yet.

    Whatever lies there of another key is removed. UserError and OSError where the disk is full.
    """
    shapes = {"array": (count, order.resolution, order.resolution, 3), "marks": (count,), "done": (count,)}
    types = {"array": np.dtype(np.uint8), "marks": MARKS, "done": np.dtype(bool)}
    files = {part: order.scratch / f"{part}-{key}.npy" for part in PARTS}
    try:
        found: dict[str, Any] = {part: np.lib.format.open_memmap(files[part], mode="r+") for part in PARTS}
        if all(found[part].shape == shapes[part] and found[part].dtype == types[part] for part in PARTS):
            order.check_space(count)  # as splits
            return Journal(**found)
    except (OSError, ValueError, EOFError):
        pass  # as if there were none

    # A new one. Its record is written last: what has none is no journal.
    for path in order.scratch.iterdir():
        if is_part(path.name):
            path.unlink()
    order.check_space(2 * count)  # in the journal, and as splits
    made: dict[str, Any] = {part: allocated(files[part], shapes[part], types[part]) for part in PARTS}
    atomic.write_json(order.scratch / RECORD, {"key": key, "pictures": count, "from": str(order.source)})
    return Journal(**made)


def key_of(source: Source, names: Iterable[str], resolution: int, fit: Fit, near: bool) -> str:
    """What decides the pixels and marks of these pictures, as 16 letters.

    The source's files by their times and sizes, the pictures by name and order, the way that they are converted, and
    the code and packages that convert them.
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    codecs = {name: features.version(name) for name in CODECS if features.check(name)}
    how = [
        str(source.path),
        resolution,
        fit,
        near,
        code_digest(),
        np.__version__,
        PIL.__version__,
        codecs,
        digest.hexdigest(),
    ]
    digest = hashlib.sha256(json.dumps(how).encode())
    for line in _files(source.path):
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


@cache
def code_digest() -> str:
    """A digest of the code that reads and converts pictures."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[str]:
    """A line for every file of a source, with its times and size, in an order that does not change."""
    if not path.is_dir():
        yield f"{path} {times_of(path)}"
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            place = f"{folder}/{name}"
            try:
                status = os.stat(place)  # noqa: PTH116  # of millions of files; of a link it is that of the file
            except OSError:
                status = os.lstat(place)
            yield f"{place} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}"


def is_part(name: str) -> bool:
    """Whether a file of this name belongs to a journal."""
    return name == RECORD or re.fullmatch(rf"({'|'.join(PARTS)})-[0-9a-f]{{16}}\.npy", name) is not None


def converted(scratch: Path) -> tuple[int, int] | None:
    """How many pictures the journal in a folder has, and how many it is to have; None without one that has any."""
    try:
        record = json.loads((scratch / RECORD).read_text())
        done = int(np.load(scratch / f"done-{record['key']}.npy", mmap_mode="r", allow_pickle=False).sum())
        return (done, int(record["pictures"])) if done else None
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
