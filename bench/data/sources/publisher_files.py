"""The files of a publisher's archive, by name: unpacked in a folder (or one below it), or in the tar or zip as it came.

For sets of which each file holds many pictures. Where the bytes of a file lie is all that is asked for.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath

from bench.data.sources.refusing import refusing
from bench.data.sources.source import Source
from bench.data.sources.tar import PACKED, TarSource
from bench.data.sources.zip_member import member_extent
from bench.errors import UserError
from bench.files.extents import Extent

ZIP = b"PK\3\4"
MOST_NAMES = 40  # of an archive, which has a dozen; one of pictures is known by then to be none of these
MOST_FILES = 1000  # of a folder, which may have more beside them
MOST_BYTES = 2**30  # of an archive, that are passed over to see its names


def holds(path: Path, head: bytes, known: Callable[[set[str]], bool]) -> bool:
    """Whether the base names of the files at a path, as far as they need be looked at, are `known`.

    head: the first bytes of a file, empty for a folder. Never raises: what is damaged is found by who reads it.
    """
    names: set[str] = set()
    one_by_one = not path.is_dir()  # each name of a packed archive costs all that lies before it
    try:
        for name in _names(path, head):
            names.add(PurePosixPath(name).name)
            if one_by_one and known(names):
                return True
    except Exception:  # a damaged archive raises nearly anything
        return False
    return known(names)


def publisher_files(source: Source, wanted: Callable[[str], bool]) -> dict[str, Extent]:
    """Where the files at `source.path` lie that have a wanted base name; by that name, sorted. Others are counted.

    A packed archive is unpacked to `source.scratch`. UserError for a damaged one and for a name that is there twice.
    """
    found: dict[str, Extent] = {}
    source.left_out.clear()
    if source.path.is_dir():
        places = _in_folder(source, wanted)
    else:
        places = (_in_zip if zipfile.is_zipfile(source.path) else _in_tar)(source, source.path, wanted)
    for name, extent in places:
        if name in found:
            raise UserError(f"{source.path}: has several files {name}; give the folder of one of them")
        found[name] = extent
    return dict(sorted(found.items()))


def missing(files: Collection[str], wanted: Iterable[str], path: Path) -> None:
    """UserError that names the files that are wanted and are not there, if there are any."""
    if absent := sorted(set(wanted) - set(files)):
        raise UserError(f"{path}: {', '.join(absent)} missing beside {', '.join(sorted(files)) or 'nothing'}")


def files_below(path: Path, depth: int = 2) -> Iterator[Path]:
    """The regular files of a folder and of those in it, `depth` levels, in no order. Links are not followed."""
    folders = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
    for folder in sorted(folders):
        yield from files_below(folder, depth - 1)


def _in_folder(source: Source, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Extent]]:
    """Files, and those in the zips of a folder: a release may be several archives."""
    for file in files_below(source.path):
        if wanted(file.name):
            yield file.name, Extent(file, 0, file.stat().st_size)
        elif zipfile.is_zipfile(file):
            yield from _in_zip(source, file, wanted)
        else:
            source.left_out["other files"] += 1


def _in_zip(source: Source, path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Extent]]:
    with refusing(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename).name
            if wanted(name) and not member.is_dir():
                yield name, member_extent(archive, member, path, source.scratch)
            elif not member.is_dir():
                source.left_out["other files"] += 1


def _in_tar(source: Source, path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Extent]]:
    tar = TarSource(path)
    tar.scratch = source.scratch
    for item in tar.items():
        name = PurePosixPath(item.name).name
        if wanted(name):
            yield name, tar.extent(item.name)
        else:
            source.left_out["other files"] += 1
    source.left_out.update(tar.left_out)


def _names(path: Path, head: bytes) -> Iterator[str]:
    if path.is_dir():
        zips = []
        for file in islice(files_below(path), MOST_FILES):
            yield file.name
            zips += [file] if file.suffix.lower() == ".zip" else []
        for file in zips:
            yield from _names(file, ZIP)
    elif head.startswith(ZIP):
        yield from _zip_names(path, path.stat().st_mtime_ns)
    else:
        opener = next((opener for mark, opener in PACKED.items() if head.startswith(mark)), None)
        with opener(path) if opener else path.open("rb") as stream:
            for _ in range(MOST_NAMES):
                member = tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
                if member.isreg():
                    yield member.name
                if member.size < 0 or stream.tell() + member.size > MOST_BYTES:
                    return
                stream.seek(-(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE, 1)


@lru_cache(maxsize=8)  # several kinds of containers ask, and the directory of a large archive takes a second to read
def _zip_names(path: Path, changed: int) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()[:MOST_NAMES]
