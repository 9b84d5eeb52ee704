"""A zip archive as a source: hostile members are counted or refused, and nothing is ever written."""

from __future__ import annotations

import pickle
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from bench.data.sources.source import BadItemError
from bench.data.sources.zip import ZipSource
from bench.errors import UserError


def _write(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> ZipSource:
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are given twice
        for name, content in members:
            archive.writestr(name, content)
    return ZipSource(path)


def _names(source: ZipSource) -> list[str]:
    return [item.name for item in source.items()]


def _special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_are_sorted_read_and_pickled(tmp_path: Path, method: int) -> None:
    source = _write(tmp_path / "a.zip", ("b.png", b"B" * 5000), ("a/", b""), ("a/é.png", b"A"), method=method)
    assert _names(source) == ["a/é.png", "b.png"] and not source.left_out
    assert source.read("b.png") == b"B" * 5000
    again = pickle.loads(pickle.dumps(source))  # with a handle open in the first
    assert again.read("a/é.png") == b"A"


def test_what_is_no_plain_file_or_leads_out_is_counted_by_kind(tmp_path: Path) -> None:
    source = _write(
        tmp_path / "a.zip",
        ("ok.png", b"x"),
        ("../up.png", b"x"), ("a/../../up.png", b"x"), ("/etc/passwd", b"x"), ("C:\\x.png", b"x"), ("..\\x.png", b"x"),
        (_special("link.png", stat.S_IFLNK | 0o777), b"/etc/passwd"),
        (_special("pipe.png", stat.S_IFIFO), b""), (_special("device.png", stat.S_IFBLK), b""),
        ("__MACOSX/._ok.png", b"x"), ("__MACOSX/ok.png", b"x"), (".DS_Store", b"x"), ("Thumbs.db", b"x"),
    )  # fmt: skip
    assert _names(source) == ["ok.png"]
    assert source.left_out == Counter(
        {
            "unsafe names": 5, "links": 1, "pipes, sockets and devices": 2, "hidden": 2, "__MACOSX": 1, "Thumbs.db": 1,
        }
    )  # fmt: skip
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip"]


def test_encrypted_members_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    _write(path, ("a.png", b"x"), ("b.png", b"y"))
    content = bytearray(path.read_bytes())
    for start in (b"PK\3\4", b"PK\1\2"):
        place = content.index(start) + (6 if start == b"PK\3\4" else 8)
        content[place] |= 1
    path.write_bytes(content)
    source = ZipSource(path)
    assert _names(source) == ["b.png"] and source.left_out == Counter({"encrypted": 1})


def test_of_two_members_of_one_name_the_later_counts(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.zip", ("a.png", b"old"), ("b.png", b"b"), ("a.png", b"new"), (".//a.png", b"newest"))
    assert _names(source) == ["a.png", "b.png"]
    assert source.read("a.png") == b"newest" and source.left_out == Counter({"repeated names": 2})


def test_a_bomb_is_refused_by_its_word_and_in_truth(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    source = _write(path, ("bomb.png", bytes(50_000_000)), ("ok.png", b"x"))
    assert _names(source) == ["bomb.png", "ok.png"]
    with pytest.raises(BadItemError, match="50,000,000 bytes; at most 1,000,000"):
        source.read("bomb.png", 1_000_000)
    # The same member says that it is small: no more than it says is unpacked, and its sum does not fit.
    content = bytearray(path.read_bytes())
    for start, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(start) + at, 100)
    path.write_bytes(content)
    source = ZipSource(path)
    assert len(_names(source)) == 2
    with pytest.raises(BadItemError, match="cannot be unpacked|at most 1,000,000"):
        source.read("bomb.png", 1_000_000)
    assert source.read("ok.png") == b"x"


def test_a_damaged_member_is_a_bad_item_and_a_damaged_directory_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    _write(path, ("a.png", b"0123456789" * 100), ("b.png", b"b"), method=zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0123", b"0124", 1))
    source = ZipSource(path)
    assert _names(source) == ["a.png", "b.png"]
    with pytest.raises(BadItemError, match="cannot be unpacked"):
        source.read("a.png")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.zip: is a damaged or unfinished zip archive"):
        ZipSource(path).items()
    # Whoever reads a member later, as a worker process does, finds the damage then.
    again = pickle.loads(pickle.dumps(source))
    with pytest.raises(BadItemError, match="cannot be unpacked"):
        again.read("b.png")
    _write(path, ("a.png", b"a"))
    again = pickle.loads(pickle.dumps(source))
    with pytest.raises(BadItemError, match="cannot be unpacked"):
        again.read("b.png")


def test_members_that_lie_over_one_another_are_bad(tmp_path: Path) -> None:
    """A small archive whose members share one content unpacks to any size; each is refused where it begins."""
    path = tmp_path / "a.zip"
    _write(path, ("a.png", b"x" * 5000), ("b.png", b"y" * 5000), method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)
    struct.pack_into("<I", content, second + 42, 10)  # its header would lie within the first member
    path.write_bytes(content)
    source = ZipSource(path)
    assert _names(source) == ["a.png", "b.png"]
    for name in ("a.png", "b.png"):
        with pytest.raises(BadItemError, match=r"cannot be unpacked \((lies over the next member|a member without)"):
            source.read(name)


def test_a_member_costs_little_more_than_its_name(tmp_path: Path) -> None:
    count = 3000
    source = _write(tmp_path / "a.zip", *((f"{number:040}.png", b"x") for number in range(count)))
    tracemalloc.start()
    assert sum(1 for _ in source.items()) == count
    taken, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / count < 44 + 8 + 6 * 8 + 20 and peak / count < 1000
    again = pickle.loads(pickle.dumps(source))
    tracemalloc.start()
    assert again.read(f"{7:040}.png") == b"x"
    assert tracemalloc.get_traced_memory()[1] < 100_000, "a worker does not read the directory"
    tracemalloc.stop()
