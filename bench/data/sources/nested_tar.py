"""A tar of tars as a source: the inner archives are read where they lie, so that nothing is unpacked.

One level deep, and plain: an inner archive that is compressed is a damaged one, and what an inner archive holds is a
file, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.data.sources.member_table import MemberTable
from bench.data.sources.names import REPEATED, shown
from bench.data.sources.tar import TarSource
from bench.data.sources.tar_members import tar_members
from bench.files.extents import Extent

SUFFIX = ".tar"


class NestedTarSource(TarSource):
    """The files of a tar, and of each tar in it: a.tar/b.png is the file b.png of its member a.tar."""

    def _found(self) -> Iterator[tuple[str, int, int]]:
        inner = MemberTable(2)
        for name, offset, size in super()._found():
            if name.endswith(SUFFIX):
                inner.append(name, offset, size)
            else:
                yield name, offset, size
        if repeated := inner.complete():
            self.left_out[REPEATED] += repeated
        for outer in inner:
            offset, size = inner[outer]
            for name, start, length in tar_members(
                Extent(self._plain, offset, size), f"{self.path}: {shown(outer)}", self.left_out
            ):
                yield f"{outer}/{name}", start, length
