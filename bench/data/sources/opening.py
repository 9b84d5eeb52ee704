"""What a path is, by its content, and the source that reads it. Another kind of container is another line of KINDS."""

from __future__ import annotations

import importlib
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.data.sources.arrays import is_npy
from bench.data.sources.cifar import is_cifar
from bench.data.sources.imagenet_archives import is_imagenet_archives
from bench.data.sources.imagenet_batches import is_imagenet_batches
from bench.data.sources.lmdb import is_lmdb
from bench.data.sources.npz import is_npz
from bench.data.sources.parquet import is_parquet
from bench.data.sources.source import Source
from bench.data.sources.stl10 import is_stl10
from bench.data.sources.tar import PACKED
from bench.errors import UserError

_HEAD = 1024  # first bytes of a file by which it is known


@dataclass(frozen=True)
class Kind:
    """A kind of container. `matches` is given the path and the file's first bytes, which are empty for a folder."""

    name: str
    matches: Callable[[Path, bytes], bool]
    source: str  # "module:class", imported when the first of its kind is opened


def _is_tar(path: Path, head: bytes) -> bool:
    """A tar by its magic, or, of an archive of before 1988, by the sum in its first header; or anything compressed."""
    if head.startswith(tuple(PACKED)):
        return True
    if head[257:262] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


# The first kind that matches is taken: containers that are folders or archives of a special content stand first.
KINDS = (
    Kind("LMDB", is_lmdb, "bench.data.sources.lmdb:LmdbSource"),
    Kind("parquet", is_parquet, "bench.data.sources.parquet:ParquetSource"),
    Kind("numpy's .npy", is_npy, "bench.data.sources.arrays:NpySource"),
    Kind("numpy's .npz", is_npz, "bench.data.sources.arrays:NpzSource"),
    Kind("CIFAR's batches", is_cifar, "bench.data.sources.cifar:CifarSource"),
    Kind(
        "batches of downsampled ImageNet",
        is_imagenet_batches,
        "bench.data.sources.imagenet_batches:ImageNetBatchesSource",
    ),
    Kind(
        "ImageNet's archives",
        is_imagenet_archives,
        "bench.data.sources.imagenet_archives:ImageNetArchivesSource",
    ),
    Kind("STL-10's files", is_stl10, "bench.data.sources.stl10:Stl10Source"),
    Kind("zip", lambda path, head: head.startswith((b"PK\3\4", b"PK\5\6")), "bench.data.sources.zip:ZipSource"),
    Kind("tar (also .gz, .bz2, .xz)", _is_tar, "bench.data.sources.tar:TarSource"),
    Kind("folder", lambda path, head: path.is_dir(), "bench.data.sources.folder:FolderSource"),
)


def open_source(path: Path, scratch: Path, option: str = "--from") -> Source:
    """The source that reads a path. scratch: where one that must be unpacked first may do so; it is not cleaned here.

    option: what messages call the path by.

    Raises UserError for a path that is not there, cannot be read, or is of no kind that is known.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise UserError(f"{option} {path}: is neither a folder nor a file")
        head = b""
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be read: {error.strerror}") from error
    kind = next((kind for kind in KINDS if kind.matches(path, head)), None)
    if kind is None:
        known = ", ".join(kind.name for kind in KINDS)
        raise UserError(f"{option} {path}: is of no kind that is read; known are {known}")
    module, _, name = kind.source.partition(":")
    source: Source = getattr(importlib.import_module(module), name)(path)
    source.scratch = scratch
    return source
