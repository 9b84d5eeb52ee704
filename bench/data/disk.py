"""The folder of a built data set: arrays, sums, licence, contact sheet; written whole and renamed once."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.builder import REPLACED, SET
from bench.data.meta import build_again, set_hash
from bench.errors import UserError
from bench.files import atomic
from bench.files.digests import Times, times_of
from bench.files.memory_map import update_digest


def write(folder: Path, arrays: dict[str, np.ndarray], licence_text: str, meta: dict[str, Any]) -> None:
    """Store a set's arrays ("train.npy": array, ...) with all that belongs to them, flushed to disk.

    An array that already is the memory map of its file is flushed in place. The sums in meta.json are of what
    was read back. Raises OSError (for example ENOSPC).
    """
    # Each array, read back for its record.
    files = {}
    for file, array in arrays.items():
        path = folder / file
        if isinstance(array, np.memmap) and Path(str(array.filename)).resolve() == path.resolve():
            array.flush()
        else:
            np.save(path, array)
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        assert stored.shape == array.shape, f"{file}: stored {stored.shape}, built {array.shape}"
        files[file] = {
            "sha256": content_hash(stored),
            "shape": list(stored.shape),
            "dtype": stored.dtype.str,
            "bytes": path.stat().st_size,
        }

    # What belongs to them: a look at the images, the licence, the records.
    _spread(arrays["train.npy"]).save(folder / "contact-sheet.png", compress_level=1)  # a fifth of the time
    atomic.write_text(folder / "LICENCE.txt", licence_text.strip() + "\n")
    atomic.write_json(folder / "meta.json", {**meta, "files": files, "sha256": set_hash(files)})

    # Readable by all, since a cache is often shared and mkdtemp lets only the owner in; then flushed to disk.
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
        with path.open("rb") as file_object:
            os.fsync(file_object.fileno())


def publish(scratch: Path, folder: Path, replace: bool) -> None:
    """Rename the set in a scratch folder to `folder`; one that another process put there meanwhile is kept and used."""
    if replace and folder.is_dir():
        with contextlib.suppress(FileNotFoundError):  # another process may be replacing it too
            folder.rename(scratch / REPLACED)  # maps that are open keep their pages
    try:
        (scratch / SET).rename(folder)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return
        put_back(scratch, folder)
        raise


def put_back(scratch: Path, folder: Path) -> None:
    """Give a set its place again that `publish` has taken away for another, which did not get there."""
    if (scratch / REPLACED).is_dir() and not folder.exists():
        (scratch / REPLACED).rename(folder)


def read_array(folder: Path, file: str, record: dict[str, Any]) -> np.ndarray:
    """One stored array as a read-only memory map; UserError unless size, shape and type are as recorded."""
    path = folder / file
    try:
        if path.stat().st_size == record["bytes"]:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            if list(array.shape) == record["shape"] and array.dtype.str == record["dtype"]:
                return array
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        pass  # the error below is the same for every way in which the file can be wrong
    raise UserError(f"{path}: not the file that was built; {build_again(folder)}")


def current_hash(folder: Path, file: str, record: dict[str, Any]) -> str:
    """The content hash of a stored array now: the recorded one unless the file was written after its record.

    Raises UserError as `read_array`.
    """
    array = read_array(folder, file, record)
    written = times_of(folder / file)
    if written[0] <= (folder / "meta.json").stat().st_mtime_ns:
        return str(record["sha256"])
    return _hash_at(folder / file, written, array)


def _hash_at(path: Path, times: Times, array: np.ndarray) -> str:
    if (path, times) not in _HASHES:
        _HASHES[path, times] = content_hash(array)
    return _HASHES[path, times]


_HASHES: dict[tuple[Path, Times], str] = {}


def content_hash(array: np.ndarray) -> str:
    """sha256 over type, shape and bytes: what the array is, not how a file stores it."""
    digest = hashlib.sha256(f"{array.dtype.str} {list(array.shape)}\n".encode())
    update_digest(digest, array)
    return digest.hexdigest()


def _spread(images: np.ndarray, columns: int = 8) -> Any:
    """A PIL picture of up to 64 images spread evenly over the split, to be looked at."""
    from bench.data.contact_sheet import contact_sheet

    chosen = np.unique(np.linspace(0, len(images) - 1, columns * columns).astype(int))
    return contact_sheet(np.asarray(images[chosen]), columns)
