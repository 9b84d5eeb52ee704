"""The arrays of a .npz by their names, and labels among them."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.data.sources.names import shown
from bench.data.sources.npy import StoredArray, read_header
from bench.data.sources.refusing import refusing
from bench.data.sources.zip_member import member_extent
from bench.errors import UserError
from bench.files.inert_pickle import Damaged

MOST_LABELS = 2**30  # bytes
SUFFIX = ".npy"
MOST_LISTED = 20  # arrays that a message names


def is_npz(path: Path, head: bytes) -> bool:
    """Whether a file, by its first bytes, is an archive of numpy's arrays and of nothing else."""
    # The first member's name, so that no other archive's directory is read for this.
    length = int.from_bytes(head[26:28], "little")
    if not head.startswith(b"PK\3\4") or not head[30 : 30 + length].endswith(SUFFIX.encode()):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(SUFFIX) for name in archive.namelist())
    except Exception:  # a damaged archive raises nearly anything
        return path.suffix == ".npz"


@contextmanager
def opened_npz(path: Path, scratch: Path | None) -> Iterator[Npz]:
    """An open .npz. scratch: where packed arrays are unpacked to. Whatever is raised inside becomes a UserError."""
    with refusing(path, "an archive of numpy's arrays"), zipfile.ZipFile(path) as archive:
        yield Npz(archive, path, scratch)


class Npz:
    """The arrays of an open .npz. `names`: of them all."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, scratch: Path | None) -> None:
        self._archive, self._path, self._scratch = archive, path, scratch
        self._members = {member.filename.removesuffix(SUFFIX): member for member in archive.infolist()}
        self.names = sorted(self._members)
        if len(self._members) < len(archive.infolist()):
            raise Damaged("an array that is given twice")

    def where(self, name: str) -> str:
        """An array for messages."""
        return f"{self._path}: {name}"

    def array(self, name: str) -> StoredArray:
        """An array, its checksum verified; unpacked once if it is packed."""
        extent = member_extent(self._archive, self._members[name], self._path, self._scratch)
        return read_header(extent, self.where(name))

    def labels(self, name: str, count: int) -> list[str]:
        """The labels of `count` pictures, numbers as text. UserError for an array that is none."""
        if (size := self._members[name].file_size) > MOST_LABELS:
            raise UserError(f"{self.where(name)}: labels of {size:,} bytes; at most {MOST_LABELS:,} are read")
        array = self.array(name)
        if array.dtype.kind == "f" or array.shape not in ((count,), (count, 1)):
            raise UserError(
                f"{self.where(name)}: holds {'x'.join(map(str, array.shape))} of {array.dtype}; labels are one whole "
                f"number or text for each of {count:,} pictures"
            )
        labels = array.rows(0, count).reshape(count).tolist()
        return [label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label) for label in labels]


def listed(names: Collection[str]) -> str:
    """Names of arrays for a message, sorted."""
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return f"{', '.join(shown(name[:80]) for name in sorted(names)[:MOST_LISTED]) or '(none)'}{more}"
