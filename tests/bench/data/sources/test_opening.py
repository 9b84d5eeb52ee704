"""Which source reads a path is decided by what it holds, not by what it is called."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from bench.data.sources.folder import FolderSource
from bench.data.sources.opening import KINDS, open_source
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


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (Path.mkdir, FolderSource), (_zip, ZipSource), (_tar, TarSource), (_old_tar, TarSource),
        (lambda path: _tar(path, "w:gz"), TarSource), (lambda path: _tar(path, "w:bz2"), TarSource),
        (lambda path: _tar(path, "w:xz"), TarSource),
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
