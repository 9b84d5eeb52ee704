"""A tar of tars as a source: the inner archives are read where they lie, so that nothing is unpacked.

One level deep, and plain: an inner archive that is compressed is a damaged one, and what an inner archive holds is a
file, whatever its name.
"""

from __future__ import annotations

from bench.data.sources.names import REPEATED, shown
from bench.data.sources.tar import TarSource
from bench.data.sources.tar_members import tar_members
from bench.files.extents import Extent

SUFFIX = ".tar"


class NestedTarSource(TarSource):
    """The files of a tar, and of each tar in it: a.tar/b.png is the file b.png of its member a.tar."""

    def _note_members(self) -> None:
        super()._note_members()
        for outer in [name for name in self._members if name.endswith(SUFFIX)]:
            inner = Extent(self._plain, *self._members.pop(outer))
            for name, place in tar_members(inner, f"{self.path}: {shown(outer)}", self.left_out).items():
                whole = f"{outer}/{name}"
                if whole in self._members:
                    self.left_out[REPEATED] += 1
                self._members[whole] = place
