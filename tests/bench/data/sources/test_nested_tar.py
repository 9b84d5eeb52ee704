"""A tar of tars, read where it lies: names, links and levels of the inner archives, and what does not end in time."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from bench.data.sources.nested_tar import NestedTarSource
from bench.data.sources.source import BadItemError
from bench.errors import UserError


def _tar(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _source(path: Path, content: bytes) -> NestedTarSource:
    path.write_bytes(content)
    return NestedTarSource(path)


def _link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_of_both_levels_are_read_in_place_and_by_other_processes(tmp_path: Path) -> None:
    inner = {"b.tar": _tar(("x.png", b"B" * 3000), ("d/y.png", b"y")), "a.tar": _tar(("x.png", b"A"))}
    source = _source(tmp_path / "all.tar", _tar(*inner.items(), ("list.txt", b"words")))
    names = ["a.tar/x.png", "b.tar/d/y.png", "b.tar/x.png", "list.txt"]
    assert [item.name for item in source.items()] == names and not source.left_out
    again = pickle.loads(pickle.dumps(source))
    assert [again.read(name) for name in names] == [b"A", b"y", b"B" * 3000, b"words"]
    with pytest.raises(BadItemError, match="3,000 bytes; at most 2,999"):
        source.read("b.tar/x.png", 2999)
    assert [path.name for path in tmp_path.iterdir()] == ["all.tar"]


def test_hostile_members_of_an_inner_tar_are_counted_and_a_third_level_is_a_file(tmp_path: Path) -> None:
    third = _tar(("deep.png", b"x"))
    inner = _tar(
        ("ok.png", b"old"), ("ok.png", b"new"), ("../up.png", b"x"), ("/etc/passwd", b"x"), ("._ok.png", b"x"),
        (_link("soft.png", tarfile.SYMTYPE, "/etc/passwd"), b""), (_link("hard.png", tarfile.LNKTYPE, "ok.png"), b""),
        (_link("pipe.png", tarfile.FIFOTYPE, ""), b""), ("third.tar", third),
    )  # fmt: skip
    source = _source(tmp_path / "all.tar", _tar(("a.tar", inner), ("a.tar/ok.png", b"outer"), ("../b.tar", inner)))
    assert [item.name for item in source.items()] == ["a.tar/ok.png", "a.tar/third.tar"]
    assert source.read("a.tar/ok.png") == b"new" and source.read("a.tar/third.tar") == third
    assert source.left_out == Counter(
        {"unsafe names": 3, "repeated names": 2, "links": 2, "hidden": 1, "pipes, sockets and devices": 1}
    )


@pytest.mark.parametrize("size", [700, 2**40])
def test_an_inner_tar_whose_member_would_reach_out_of_it_is_refused(tmp_path: Path, size: int) -> None:
    """What lies behind an inner archive in the outer one is never taken for its content."""
    info = tarfile.TarInfo("long.png")
    info.size = size
    inner = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512
    source = _source(tmp_path / "all.tar", _tar(("a.tar", inner), ("b.tar", _tar(("secret.png", b"s" * 5000)))))
    with pytest.raises(UserError, match=r"all\.tar: a\.tar: is a damaged or unfinished tar archive \(unexpected end"):
        source.items()


@pytest.mark.parametrize("size", [-1, -511, -1024])
def test_a_member_of_a_negative_size_is_refused(tmp_path: Path, size: int) -> None:
    info = tarfile.TarInfo("back.png")
    info.size = size
    source = _source(tmp_path / "all.tar", _tar(("a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))))
    with pytest.raises(UserError, match=r"a\.tar: is a damaged or unfinished tar archive"):
        source.items()
