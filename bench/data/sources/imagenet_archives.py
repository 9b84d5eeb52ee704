"""ImageNet-2012 (ILSVRC) as its owner has it: a folder of archives, which are read as they lie.

The training pictures are a tar of a tar for each class, the validation pictures a flat tar, whose classes stand in the
development kit. An archive beside the folder that it was unpacked to is left alone.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.data.sources.folder import FolderSource
from bench.data.sources.nested_tar import NestedTarSource
from bench.data.sources.source import Item
from bench.data.sources.tar import TarSource

# Each archive, what reads it, and the folder to which tools unpack it.
ARCHIVES: dict[str, tuple[type[TarSource], str]] = {
    "ILSVRC2012_img_train.tar": (NestedTarSource, "train"),
    "ILSVRC2012_img_val.tar": (TarSource, "val"),
    "ILSVRC2012_devkit_t12.tar.gz": (TarSource, "ILSVRC2012_devkit_t12"),
}


def is_imagenet_archives(path: Path, head: bytes) -> bool:
    """Whether a folder holds one of the archives and not what it unpacks to."""
    return path.is_dir() and any(_opens(path, name) for name in ARCHIVES)


class ImageNetArchivesSource(FolderSource):
    """The files of a folder, the archives replaced by what is in them: ILSVRC2012_img_train.tar/n01440764.tar/..."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._archives: dict[str, TarSource] = {}

    def items(self) -> Iterator[Item]:
        """Every file, sorted by name. UserError for a damaged archive, and as of a folder."""
        self._archives.clear()
        for item in super().items():
            if item.name not in ARCHIVES or not _opens(self.path, item.name):
                yield item
                continue
            archive = ARCHIVES[item.name][0](self.path / item.name, f"unpacked-{item.name}")
            archive.scratch = self.scratch
            self._archives[item.name] = archive
            yield from (Item(f"{item.name}/{member.name}") for member in archive.items())
            self.left_out.update(archive.left_out)

    def read(self, name: str, most: int | None = None) -> bytes:
        """A file's content, or a member's. Errors as of a folder and of a tar."""
        archive, _, member = name.partition("/")
        return self._archives[archive].read(member, most) if archive in self._archives else super().read(name, most)

    def open(self, name: str, most: int | None = None) -> BinaryIO:
        """The open file, or the member in memory; errors as `read`."""
        packed = name.partition("/")[0] in self._archives
        return io.BytesIO(self.read(name, most)) if packed else super().open(name, most)


def _opens(folder: Path, name: str) -> bool:
    """Whether an archive is there, a file or a link to one, without the folder that it unpacks to."""
    try:
        return stat.S_ISREG((folder / name).stat().st_mode) and not (folder / ARCHIVES[name][1]).is_dir()
    except OSError:
        return False
