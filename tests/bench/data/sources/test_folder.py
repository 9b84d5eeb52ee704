"""A folder as a source: what it offers, what it counts, and what it never opens or follows."""

from __future__ import annotations

import os
import pickle
import socket
from collections import Counter
from pathlib import Path

import pytest

from bench.data.sources.folder import FolderSource
from bench.data.sources.source import BadItemError
from bench.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("b.png", "a/c.png", "a/b.png", "a b/é\\x.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def _names(source: FolderSource) -> list[str]:
    return [item.name for item in source.items()]


def test_files_are_sorted_by_their_whole_names_and_read(folder: Path) -> None:
    source = FolderSource(folder)
    assert _names(source) == sorted(["b.png", "a/c.png", "a/b.png", "a b/é\\x.png"])
    assert all(source.read(name) == name.encode() for name in _names(source))
    assert not source.left_out
    again = pickle.loads(pickle.dumps(source))
    assert again.read("a/c.png") == b"a/c.png"


def test_leftovers_of_tools_are_counted_by_kind_however_deep(folder: Path) -> None:
    for name in (
        ".DS_Store", "a/._b.png", "__MACOSX/a/b.png", "__MACOSX/._b.png", ".ipynb_checkpoints/b-checkpoint.png",
        "a/@eaDir/b.png/thumb.jpg", "Thumbs.db", "a/thumbs.DB", ".git/objects/aa/bb", "desktop.ini",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    source = FolderSource(folder)
    assert len(_names(source)) == 4
    kinds = {"hidden": 5, "__MACOSX": 1, "@eaDir": 1, "Thumbs.db": 2, "desktop.ini": 1}
    assert source.left_out == Counter(kinds)
    assert len(_names(source)) + source.left_out.total() == sum(path.is_file() for path in folder.rglob("*"))
    assert _names(source) and source.left_out == Counter(kinds), "counted anew each time"


def test_pipes_sockets_and_devices_are_counted_and_never_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        source = FolderSource(folder)
        assert len(_names(source)) == 4
    assert source.left_out == Counter({"pipes, sockets and devices": 2})


@pytest.mark.timeout(20)
def test_a_pipe_that_takes_a_files_place_does_not_block(folder: Path) -> None:
    source = FolderSource(folder)
    assert "b.png" in _names(source)
    (folder / "b.png").unlink()
    os.mkfifo(folder / "b.png")
    with pytest.raises(BadItemError, match="is no file"):
        source.read("b.png")
    (folder / "b.png").unlink()
    (folder / "b.png").mkdir()
    with pytest.raises(BadItemError, match="is no file"):
        source.read("b.png")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "/etc", "a", "..", "/dev/null", "/nowhere"])
def test_links_to_folders_and_out_are_refused_by_name(folder: Path, target: str) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    (folder / "link.png").symlink_to(target)
    with pytest.raises(UserError, match=r"root/link\.png: a link to a folder or out of .* is not followed"):
        list(FolderSource(folder).items())


def test_a_link_inside_is_a_copy_and_a_broken_or_circular_one_cannot_be_read(folder: Path) -> None:
    (folder / "copy.png").symlink_to("a/b.png")
    (folder / "broken.png").symlink_to("a/gone.png")
    (folder / "round.png").symlink_to("again.png")
    (folder / "again.png").symlink_to("round.png")
    source = FolderSource(folder)
    assert len(_names(source)) == 8
    assert source.read("copy.png") == b"a/b.png"
    for name in ("broken.png", "round.png"):
        with pytest.raises(BadItemError, match="cannot be read"):
            source.read(name)


def test_links_in_a_hidden_folder_are_counted_with_it(folder: Path) -> None:
    (folder / ".cache").mkdir()
    (folder / ".cache" / "link").symlink_to("/etc")
    (folder / ".venv").symlink_to("/usr")
    source = FolderSource(folder)
    assert len(_names(source)) == 4 and source.left_out == Counter({"hidden": 2})


def test_sizes_are_bounded_before_anything_is_read(folder: Path) -> None:
    with (folder / "huge.png").open("wb") as file:
        file.truncate(2**40)  # sparse
    source = FolderSource(folder)
    for read in (source.read, source.open):
        with pytest.raises(BadItemError, match="1,099,511,627,776 bytes; at most 1,000 are read"):
            read("huge.png", 1000)
    assert source.read("b.png", 5) == b"b.png"
    with pytest.raises(BadItemError, match="at most 4"):
        source.read("b.png", 4)


def test_names_that_are_no_text_are_offered_and_read(folder: Path) -> None:
    strange = os.fsencode(folder) + b"/\xff\n\x1b[31m.png"
    Path(os.fsdecode(strange)).write_bytes(b"x")
    source = FolderSource(folder)
    (name,) = (name for name in _names(source) if "[31m" in name)
    assert source.read(name) == b"x"


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for any user but root: its permissions say no."""
    scandir = os.scandir

    def refusing(path: Path):
        if path == folder / "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match=r"root/a: cannot be listed: Permission denied"):
        list(FolderSource(folder).items())
