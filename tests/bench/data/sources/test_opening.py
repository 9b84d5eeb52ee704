"""Which source reads a path is decided by what it holds, not by what it is called."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.sources.arrays import NpySource, NpzSource
from bench.data.sources.cifar import CifarSource
from bench.data.sources.folder import FolderSource
from bench.data.sources.imagenet_archives import ImageNetArchivesSource
from bench.data.sources.imagenet_batches import ImageNetBatchesSource
from bench.data.sources.lmdb import LmdbSource
from bench.data.sources.opening import KINDS, open_source
from bench.data.sources.parquet import ParquetSource
from bench.data.sources.stl10 import Stl10Source
from bench.data.sources.tar import TarSource
from bench.data.sources.zip import ZipSource
from bench.errors import UserError


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"x")


def _tar(path: Path, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("a.png")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))


def _old_tar(path: Path) -> None:
    """A tar of the seventies has no magic, only the sum of its header."""
    header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.USTAR_FORMAT))
    header[257:265], header[148:156] = bytes(8), b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    path.write_bytes(bytes(header) + bytes(1024))


def _lmdb(path: Path) -> None:
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"key", b"value")


def _parquet(path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"]}), path)


def _shards(path: Path) -> None:
    path.mkdir()
    _parquet(path / "train-00000-of-00001.parquet")


def _array(path: Path, save=np.save) -> None:
    with path.open("wb") as file:
        save(file, np.zeros((5, 4, 4, 3), np.uint8))


def _files(path: Path, *names: str) -> None:
    path.mkdir()
    for name in names:
        (path / name).touch()


def _archives(path: Path, *unpacked: str) -> None:
    path.mkdir()
    for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"):
        _tar(path / name)
    for name in unpacked:
        (path / name).mkdir()


def _named(path: Path, *names: str) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"release/{name}"))


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (Path.mkdir, FolderSource), (_zip, ZipSource), (_tar, TarSource), (_old_tar, TarSource),
        (lambda path: _tar(path, "w:gz"), TarSource), (lambda path: _tar(path, "w:bz2"), TarSource),
        (lambda path: _tar(path, "w:xz"), TarSource),
        (_lmdb, LmdbSource), (_parquet, ParquetSource), (_shards, ParquetSource), (_array, NpySource),
        (lambda path: _array(path, np.savez), NpzSource), (lambda path: _array(path, np.savez_compressed), NpzSource),
        (lambda path: _files(path, "batches.meta", "test_batch"), CifarSource),
        (lambda path: _named(path, "batches.meta", "readme.html", "test_batch"), CifarSource),
        (lambda path: _named(path, "train", "meta", "test"), CifarSource),
        (lambda path: _files(path, "train_data_batch_1"), ImageNetBatchesSource),
        (lambda path: _files(path, "val_data.npz"), ImageNetBatchesSource),
        (_archives, ImageNetArchivesSource),
        (lambda path: _archives(path, "train", "val", "ILSVRC2012_devkit_t12"), FolderSource),
        (lambda path: _named(path, "test_X.bin"), Stl10Source),
    ],
)  # fmt: skip
def test_the_content_decides(tmp_path: Path, write, kind: type) -> None:
    path = tmp_path / "photos.jpg"
    write(path)
    source = open_source(path, tmp_path / "scratch")
    assert type(source) is kind and source.path == path and source.scratch == tmp_path / "scratch"


@pytest.mark.timeout(20)
def test_what_is_no_container_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "empty.tar").touch()
    os.mkfifo(tmp_path / "pipe")
    known = ", ".join(kind.name for kind in KINDS)
    for name in ("text.zip", "empty.tar"):
        with pytest.raises(UserError) as refused:
            open_source(tmp_path / name, tmp_path)
        assert str(refused.value) == f"--from {tmp_path / name}: is of no kind that is read; known are {known}"
    with pytest.raises(UserError, match="pipe: is neither a folder nor a file"):
        open_source(tmp_path / "pipe", tmp_path)
    with pytest.raises(UserError, match="gone: cannot be read: No such file"):
        open_source(tmp_path / "gone", tmp_path)


def test_a_path_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    """The user gave it: links are not followed below it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    source = open_source(tmp_path / "link", tmp_path)
    assert [item.name for item in source.items()] == ["a.png"] and source.read("a.png") == b"x"
