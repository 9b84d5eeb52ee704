"""Python's pickle of a dict with one long array of bytes, as CIFAR is published: what is in it, and where the array is.

Nothing is unpickled (see bench.files.inert_pickle), and the array is not loaded: its place in the file is noted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from bench.data.sources.planes import Planes, side_of
from bench.errors import UserError
from bench.files.extents import Extent
from bench.files.inert_pickle import Damaged, Note, failure, read_inert

KIND = "a pickled batch of pictures"
NAMES = {
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype",
}  # fmt: skip
LONG = 128  # bytes; what is longer is passed over, as arrays are; no name of a class is as long
BYTES = ("u1", "|u1", "uint8")  # numpy's names of its type


class _Place(bytes):
    """Stands for bytes that were passed over, and is as long as they are."""

    def __new__(cls, start: int, size: int) -> _Place:
        place = super().__new__(cls)
        place.start, place.size = start, size
        return place

    start: int
    size: int

    def __len__(self) -> int:
        return self.size

    def decode(self, *_: Any) -> Any:
        """Itself: Python 2 wrote bytes as text."""
        return self


class _PassingOver:
    """A part of a file, in which long reads return a place and move on."""

    def __init__(self, file: BinaryIO, extent: Extent) -> None:
        self._file, self._start, self._end = file, extent.start, extent.start + extent.size
        file.seek(extent.start)

    def tell(self) -> int:
        return self._file.tell() - self._start

    def read(self, size: int) -> bytes:
        left = self._end - self._file.tell()
        if size > left:
            raise Damaged("cut off")
        if size <= LONG:
            return self._file.read(size)
        place = _Place(self.tell(), size)
        self._file.seek(size, 1)
        return place

    def readline(self) -> bytes:
        return self._file.readline(min(LONG, self._end - self._file.tell()))


def read_batch(extent: Extent, where: str) -> dict[str, Any]:
    """The dict: plain values, texts as texts; arrays as notes for `planes_of`. `where` names the file in messages.

    Raises UserError for a damaged file, and for whatever else the pickle refers to, of which nothing is executed.
    """
    assert isinstance(extent.source, Path)
    try:
        with extent.source.open("rb") as file:
            value = read_inert(_PassingOver(file, extent), NAMES.__contains__)
        if not isinstance(value, dict):
            raise Damaged("no dict")
        return {key.decode("latin-1") if isinstance(key, bytes) else str(key): entry for key, entry in value.items()}
    except Exception as error:  # a damaged pickle raises nearly anything
        raise failure(where, error, KIND) from error


def planes_of(batch: dict[str, Any], extent: Extent, where: str) -> Planes:
    """The pictures in the batch's array "data". UserError where it is not (N, 3 S S) bytes, all of them there."""
    note = batch.get("data")
    state = note.state if isinstance(note, Note) and note.name.endswith("._reconstruct") else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise UserError(f"{where}: damaged, or not {KIND} (no array 'data')")
    _, shape, dtype, fortran, place = state
    rows = [length for length in shape if type(length) is int and length >= 0] if isinstance(shape, tuple) else []
    side = side_of(rows[1]) if len(rows) == 2 and len(shape) == 2 else None
    plain = isinstance(dtype, Note) and dtype.name == "numpy.dtype" and dtype.args[:1] and dtype.args[0] in BYTES
    if side is None or not plain or fortran not in (False, 0):
        raise UserError(f"{where}: its array 'data' is not of bytes (N, 3 S S)")
    if not isinstance(place, _Place) or place.size != rows[0] * rows[1]:
        raise UserError(f"{where}: its array 'data' has not the {rows[0]} x {rows[1]} bytes that it says")
    return Planes(Extent(extent.source, extent.start + place.start, place.size), rows[0], side)


def labels_of(batch: dict[str, Any], key: str, count: int, where: str) -> list[int]:
    """The whole numbers under `key`, one for each picture."""
    labels = batch.get(key)
    if not isinstance(labels, list) or len(labels) != count or not all(type(label) is int for label in labels):
        raise UserError(f"{where}: has no {count} whole numbers under '{key}'")
    return labels


def texts_of(batch: dict[str, Any], key: str, where: str) -> list[str]:
    """The texts under `key`."""
    texts = batch.get(key)
    if not isinstance(texts, list) or not all(type(text) in (str, bytes) for text in texts):
        raise UserError(f"{where}: has no list of names under '{key}'")
    return [text.decode("latin-1") if isinstance(text, bytes) else text for text in texts]
