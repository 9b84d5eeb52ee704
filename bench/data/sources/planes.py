"""Pictures without a format of their own: equally long rows of bytes in a file, one colour after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.files.extents import Extent

ROWS_FIRST, COLUMNS_FIRST = (1, 2, 0), (2, 1, 0)  # how (colour, a, b) becomes (height, width, colour)


@dataclass(frozen=True)
class Planes:
    """`count` square pictures of 3 colours of `side` x `side` bytes, whose bytes are all there.

    axes: ROWS_FIRST where neighbours in a row of the picture are neighbours in the file, else COLUMNS_FIRST.
    """

    extent: Extent
    count: int
    side: int
    axes: tuple[int, int, int] = ROWS_FIRST

    def picture(self, place: int) -> np.ndarray:
        """(side, side, 3) uint8. BadItemError where the file has become shorter."""
        size = 3 * self.side**2
        try:
            data = self.extent.read(place * size, size)
        except OSError as error:
            raise BadItemError(f"cannot be read ({error})") from error
        return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(3, self.side, self.side).transpose(self.axes))


def side_of(size: int) -> int | None:
    """The side of a square picture whose three colours have this many bytes; None where there is none."""
    side = math.isqrt(max(0, size) // 3)
    return side if side and 3 * side**2 == size else None


class PlanesSource(Source):
    """Pictures in several files of planes. An item's name is its file's and its place there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._planes: dict[str, Planes] = {}

    def read(self, name: str, most: int | None = None) -> np.ndarray:
        """The picture as (H, W, 3) uint8."""
        file, _, place = name.rpartition("#")
        planes = self._planes[file]
        if most is not None and 3 * planes.side**2 > most:
            raise too_large(3 * planes.side**2, most)
        return planes.picture(int(place))

    def _take(self, file: str, planes: Planes, labels: Sequence[str | None], split: str | None) -> Iterator[Item]:
        """Add a file; its pictures, in order."""
        self._planes[file] = planes
        for place, label in enumerate(labels):
            yield Item(f"{file}#{place:08d}", label, split)
