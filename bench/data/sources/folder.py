"""A folder as a source: regular files only, links that stay inside, nothing that could block or lead out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.data.sources.names import DEVICES, leftover, shown
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.errors import UserError


class FolderSource(Source):
    """The files of a folder and of those below it.

    Files that tools leave behind, pipes, sockets and devices are counted. A link to another file of the folder is that
    file's copy; one to a folder, or out of this folder, is refused.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.resolve())

    def items(self) -> Iterator[Item]:
        """Every file, sorted by name. UserError for a folder that cannot be listed and for a link that is refused."""
        self.left_out.clear()
        return (Item(name) for name in self._files() if not self._counted(leftover(name)))

    def read(self, name: str, most: int | None = None) -> bytes:
        """A file's content. BadItemError for one that cannot be opened, is no file, or is larger than `most`."""
        with self.open(name, most) as file:
            try:
                # One byte more than it may have: a file can grow while it is read.
                content = file.read() if most is None else file.read(most + 1)
            except OSError as error:
                raise BadItemError(f"cannot be read ({error.strerror})") from error
        if most is not None and len(content) > most:
            raise too_large(len(content), most)
        return content

    def open(self, name: str, most: int | None = None) -> BinaryIO:
        """The open file; errors as `read`. A pipe that has taken a file's place is noticed, not waited for."""
        try:
            handle = os.open(self.path / name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            status = os.fstat(handle)
        except (OSError, ValueError) as error:
            raise BadItemError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
        if not stat.S_ISREG(status.st_mode) or (most is not None and status.st_size > most):
            os.close(handle)
            raise too_large(status.st_size, most or 0) if stat.S_ISREG(status.st_mode) else BadItemError("is no file")
        return os.fdopen(handle, "rb")

    def _files(self) -> Iterator[str]:
        """The names of all regular files and of links to such, hidden ones too, in order; what is neither is counted.

        A folder's names are in memory together, with those of the folders that it lies in.
        """
        waiting = [""]  # the next one last; a folder ends in a slash, by which it has its place among the names
        while waiting:
            name = waiting.pop()
            if name and not name.endswith("/"):
                yield name
            else:
                waiting += sorted(self._listed(name), reverse=True)

    def _listed(self, folder: str) -> Iterator[str]:
        """The names in one folder ("" or with a slash behind it) of files, links to files, and folders."""
        try:
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    name = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        yield f"{name}/"
                    elif entry.is_file(follow_symlinks=False) or (entry.is_symlink() and self._is_copy(name)):
                        yield name
                    else:
                        self._counted(leftover(name) or DEVICES)
        except OSError as error:
            if not self._counted(leftover(folder.removesuffix("/"))):
                place = shown(str(self.path / folder))
                raise UserError(f"{place}: cannot be listed: {error.strerror}") from error

    def _is_copy(self, name: str) -> bool:
        """Whether a link is to be treated as a file; UserError for one that leads to a folder or out of this one.

        A link to nothing, or to itself, is a file that cannot be read.
        """
        if leftover(name):
            return True  # counted, never opened
        target = Path(os.path.realpath(self.path / name))  # unlike resolve(), of a loop too
        if target.is_dir() or not target.is_relative_to(self.path):
            raise UserError(
                f"{shown(str(self.path / name))}: a link to a folder or out of {self.path} is not followed; "
                "put the files there"
            )
        return target.is_file() or not target.exists()

    def _counted(self, kind: str | None) -> bool:
        """Count one file that is not offered; False for one that is."""
        if kind is not None:
            self.left_out[kind] += 1
        return kind is not None
