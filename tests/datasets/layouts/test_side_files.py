"""Side files: where they may lie, and MATLAB files that are damaged, huge, or hold anything but numbers."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from bench.data.sources.folder import FolderSource
from bench.data.sources.zip import ZipSource
from bench.errors import UserError

side_files = importlib.import_module("bench.datasets.layouts.side_files")


def _read(folder: Path, name: str, **limits: int) -> Any:
    source = FolderSource(folder)
    return side_files.need(source, tuple(source.items()), name, **limits)


def _mat(**variables: Any) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    return file.getvalue()


def test_it_is_found_at_any_depth_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "list.txt").write_bytes(b"\xef\xbb\xbf1 a b\n\n2 c d\r\n")
    assert _read(tmp_path, "list.txt").lines() == ["1 a b", "2 c d"]
    assert _read(tmp_path, "list.txt").table(2) == [["1", "a b"], ["2", "c d"]]
    with pytest.raises(UserError, match="list.txt: entry 1 has 3 fields, not 4"):
        _read(tmp_path, "list.txt").table(4)
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(UserError, match="has list.txt more than once: deep/er/list.txt and list.txt"):
        _read(tmp_path, "list.txt")
    with pytest.raises(UserError, match="labels.mat is missing; put it in there, as its publisher has it"):
        _read(tmp_path, "labels.mat")


def test_it_may_lie_beside_an_archive_but_is_no_link(tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("jpg/a.jpg", b"a")
    source = ZipSource(archive)
    items = tuple(source.items())
    with pytest.raises(UserError, match="list.txt is missing; put it in there or beside it"):
        side_files.need(source, items, "list.txt")
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (tmp_path / "list.txt").symlink_to(secret)
    assert side_files.find(source, items, "list.txt") is None
    (tmp_path / "list.txt").unlink()
    os.mkfifo(tmp_path / "list.txt")
    assert side_files.find(source, items, "list.txt") is None  # and nobody waits for a writer
    (tmp_path / "list.txt").unlink()
    (tmp_path / "list.txt").write_text("beside\n")
    assert side_files.find(source, items, "list.txt").lines() == ["beside"]
    with pytest.raises(UserError, match="list.txt: 7 bytes; at most 6 are read"):
        side_files.find(source, items, "list.txt", 6)


def test_what_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"ab\xff")
    with pytest.raises(UserError, match="list.txt: is no text, at byte 2"):
        _read(tmp_path, "list.txt").lines()
    with pytest.raises(UserError, match=r"list.txt: .*3.* bytes"):
        _read(tmp_path, "list.txt", most=2)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"label": np.ones(1)}, "has no variable 'labels', but label"),
        ({"labels": "text"}, r"'labels' is char \(1,\), not a list of numbers"),
        ({"labels": np.array(["a", 1], object)}, r"'labels' is cell \(1, 2\), not a list of numbers"),
        ({"labels": {"a": 1}}, r"'labels' is struct \(1, 1\), not a list of numbers"),
    ],
)
def test_a_matlab_file_of_anything_but_numbers_is_refused(tmp_path: Path, variables: Any, message: str) -> None:
    (tmp_path / "x.mat").write_bytes(_mat(**variables))
    with pytest.raises(UserError, match=f"x.mat: {message}"):
        _read(tmp_path, "x.mat").matlab("labels")


def test_a_bomb_is_refused_by_what_it_says_of_its_size(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(_mat(labels=np.zeros((1, 10_000_001), np.uint8)))
    assert (tmp_path / "x.mat").stat().st_size < 20_000
    with pytest.raises(UserError, match=r"'labels' is uint8 \(1, 10000001\), not a list of numbers"):
        _read(tmp_path, "x.mat").matlab("labels")


def test_damaged_matlab_files_end_in_one_line(tmp_path: Path) -> None:
    good = _mat(labels=np.arange(300, dtype=np.uint16))
    stream = np.random.default_rng(0)
    survived = 0
    for _ in range(400):
        data = bytearray(good)
        for place in stream.integers(0, len(data), stream.integers(1, 4)):
            data[place] = stream.integers(0, 256)
        content = bytes(data[: stream.integers(1, len(data) + 1)] if stream.random() < 0.5 else data)
        with contextlib.suppress(UserError):
            side_files.SideFile("x.mat", content).matlab("labels")
            survived += 1
    assert 0 < survived < 400
