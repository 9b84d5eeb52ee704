"""Builds that are ended, also by a kill: the next one goes on, to the same bytes, and nothing is left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench import paths
from bench.cli.data import data
from bench.data import building, imageset, journal
from bench.data.built_set import ImageSet
from bench.data.decoding import DecodeInto, MarkRows, rows_of
from bench.data.known import datasets
from bench.data.marks import marks
from bench.errors import UserError
from bench.machine.workers import WorkerEndedError
from soft_pictures import soft_picture

PICTURES = 40
ENDED_AT = 20  # the picture that is not converted any more; chunks of 1, 2, 4 and 8 are noted, and 5 of 16 lost
NOTED = 15


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    """Forty pictures, of which some are near copies of others."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(PICTURES - 4):
        soft_picture(number).save(root / f"{number:02}.png")
    for number in range(4):
        soft_picture(number).save(root / f"{number:02}.jpg", quality=80)
    return root


def _build(path: Path, resolution: int = 30, **options) -> ImageSet:
    return building.build("mine", resolution, path, force=True, jobs=1, **options)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that are decoded from here on."""
    names: list[str] = []
    picture = DecodeInto.picture

    def counted(self: DecodeInto, name: str) -> Image.Image:
        names.append(name)
        return picture(self, name)

    monkeypatch.setattr(DecodeInto, "picture", counted)
    return names


@pytest.fixture
def end(folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Begin a build and end it at a picture, by an error."""

    def ended(error: BaseException | None = None, **options) -> None:
        whole = DecodeInto.picture

        def fails(self: DecodeInto, name: str) -> Image.Image:
            if len(decoded) == ENDED_AT:
                raise error or KeyboardInterrupt()
            return whole(self, name)

        with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, UserError)):
            patch.setattr(DecodeInto, "picture", fails)
            _build(folder, **options)
        assert len(decoded) == ENDED_AT
        decoded.clear()

    return ended


def _left() -> list[str]:
    return sorted(path.name for path in (paths.cache_root() / "data").iterdir())


def _scratch() -> Path:
    (found,) = (paths.cache_root() / "data").glob(".mine-30.*")
    return found


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(28, "No space left on device"), WorkerEndedError("killed")]
)
def test_a_build_goes_on_to_the_same_bytes(
    folder: Path, end: Callable[..., None], decoded: list[str], error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = _build(folder)
    decoded.clear()
    end(error)
    said = capsys.readouterr().err
    assert (
        f"{NOTED} of {PICTURES} pictures are converted and kept in {_scratch()}: the next build of it goes on" in said
    )
    assert {path.name for path in _scratch().iterdir() if not journal.is_part(path.name)} == {"lock"}
    built = _build(folder)
    assert f"going on with {NOTED} of {PICTURES} pictures" in capsys.readouterr().err
    assert len(decoded) == PICTURES - NOTED, "no picture is decoded twice"
    assert built.sha256 == expected.sha256 and built.notes == expected.notes and built.notes["copies"]
    assert _left() == ["mine-30"]


KILLED = """
import os, signal, sys
from pathlib import Path
from typing import Any
from bench.data import building
from bench.data.decoding import DecodeInto
from bench.data.known import datasets
from bench.machine import workers

workers.PATIENCE = -1 if sys.argv[2] == "workers" else 1e9
picture = DecodeInto.picture

def fatal(self, name):
    if name == "15.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return picture(self, name)

if sys.argv[2] == "workers":
    from bench.data.journal import Journal  # the parent is killed when it has noted some
    note = Journal.note
    def killed(self, rows, decoded):
        note(self, rows, decoded)
        if self.done.sum() >= 10:
            os.kill(os.getpid(), signal.SIGKILL)
    Journal.note = killed
else:
    DecodeInto.picture = fatal
building.build("mine", 30, Path(sys.argv[1]), jobs=2)
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["itself", "workers"])
def test_a_killed_build_goes_on(folder: Path, decoded: list[str], where: str) -> None:
    expected = _build(folder).sha256
    (folder.parent / "cache").rename(folder.parent / "other")
    decoded.clear()
    root = Path(building.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), where], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert _build(folder).sha256 == expected
    assert 0 < len(decoded) <= PICTURES - 10 and _left() == ["mine-30"]


def test_of_kept_rows_with_gaps_each_is_checked_by_its_own_pixels(tmp_path: Path) -> None:
    """Of two workers one may be ahead when a build is killed: some pictures between others are missing."""
    array = np.lib.format.open_memmap(tmp_path / "array.npy", mode="w+", dtype=np.uint8, shape=(9, 30, 30, 3))
    array[:] = np.random.default_rng(0).integers(256, size=array.shape, dtype=np.uint8)
    array.flush()
    for kept in ([0, 1, 2], [0, 1, 5, 7, 8], [8]):
        assert (MarkRows(rows_of(array), near=True)(kept) == marks(np.asarray(array[kept]), near=True)).all()


@pytest.mark.parametrize("changed", ["source", "fit", "resolution", "code", "pictures"])
def test_another_source_setting_or_code_starts_over(
    folder: Path, end: Callable[..., None], decoded: list[str], changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end()
    before = _scratch()
    settings: dict[str, Any] = {}
    if changed == "source":
        os.utime(folder / "03.png", (1, 1))
    elif changed == "pictures":
        (folder / "03.png").unlink()
    elif changed == "code":
        monkeypatch.setattr(journal, "code_digest", lambda: "another")
    else:
        settings = {"fit": "stretch"} if changed == "fit" else {"resolution": 24}
    built = _build(folder, **settings)
    assert len(decoded) == PICTURES - (changed == "pictures")
    if changed == "resolution":  # another set: what was begun of the first is kept for it
        assert _left() == [before.name, "mine-24"]
    else:
        assert _left() == ["mine-30"]
    assert len(built.train) + len(built.test) == len(decoded)


def test_what_does_not_change_the_pictures_goes_on(folder: Path, end: Callable[..., None], decoded: list[str]) -> None:
    end()
    assert len(_build(folder, test_share=0.5).test) >= 15
    assert len(decoded) == PICTURES - NOTED


def test_pictures_that_were_refused_need_not_be_converted_again(folder: Path, decoded: list[str]) -> None:
    (folder / "cut.png").write_bytes((folder / "02.png").read_bytes()[:-300])
    with pytest.raises(UserError, match="1 of 41 pictures cannot be used"):
        _build(folder)
    decoded.clear()
    built = _build(folder, skip_bad=True)
    assert decoded == ["cut.png"] and built.notes["left out"] == "left out: 1 bad" and _left() == ["mine-30"]


def test_a_refusal_for_the_source_or_the_settings_keeps_nothing(folder: Path, decoded: list[str]) -> None:
    _build(folder)
    entry = datasets().load("mine").model_copy(update={"options": {"crop": "center", "split": "first"}, "train": 36})
    datasets().add("release", "catalogue:release", "s", entry.model_copy(update={"test": 4}))
    decoded.clear()
    (folder / "copy.bmp").write_bytes(b"")
    soft_picture(1).save(folder / "copy.bmp")
    (folder / "00.jpg").unlink()
    with pytest.raises(UserError, match="39 different pictures found, 40 are needed"):
        building.build("release", 30, folder, jobs=1)
    assert len(decoded) == PICTURES and _left() == ["mine-30"]
    (folder / "copy.bmp").unlink()
    decoded.clear()
    with pytest.raises(UserError, match="39 different pictures found, 40 are needed"):
        building.build("release", 30, folder, jobs=1)
    assert not decoded, "so few files need not be converted to be too few"


def test_a_row_that_never_reached_the_disk_is_converted_again(
    folder: Path, end: Callable[..., None], decoded: list[str]
) -> None:
    expected = _build(folder).sha256
    decoded.clear()
    end()
    (file,) = _scratch().glob("array-*.npy")
    array = np.lib.format.open_memmap(file, mode="r+")
    array[3] = 0
    array.flush()
    assert _build(folder).sha256 == expected
    assert len(decoded) == PICTURES - NOTED + 1


def test_a_journal_that_cannot_be_read_starts_over(folder: Path, end: Callable[..., None], decoded: list[str]) -> None:
    for name in ("array-*.npy", "marks-*.npy", "done-*.npy", journal.RECORD):
        end()
        (file,) = _scratch().glob(name)
        file.write_bytes(file.read_bytes()[:50])
        _build(folder)
        assert len(decoded) == PICTURES and _left() == ["mine-30"]
        decoded.clear()


def test_a_build_that_lives_is_left_alone(folder: Path, end: Callable[..., None], decoded: list[str]) -> None:
    end()
    before = _scratch()
    with (before / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _build(folder)
        assert len(decoded) == PICTURES and _left() == [before.name, "mine-30"]
    # One on another machine, whose locks may not reach this one, lives for as long as it gives a sign of life.
    (before / "lock").write_text("elsewhere 1\n")
    decoded.clear()
    _build(folder)
    assert len(decoded) == PICTURES and before.name in _left()
    os.utime(before / "lock", (time.time() - 3600,) * 2)
    decoded.clear()
    _build(folder)
    assert len(decoded) == PICTURES - NOTED and _left() == ["mine-30"]


def test_no_lock_of_a_build_that_begins_is_free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build would take it for dead."""
    root, seen = paths.cache_root() / "data", list[list[Path]]()
    flock = fcntl.flock

    def watched(lock: int, operation: int) -> None:
        seen.append(list(root.glob(".mine-30.*/lock")))
        flock(lock, operation)

    monkeypatch.setattr(fcntl, "flock", watched)
    _build(folder)
    assert seen == [[]]


def test_what_other_killed_builds_left_is_removed(folder: Path, end: Callable[..., None]) -> None:
    end()
    begun = _scratch()
    root = begun.parent
    for name in (".other-16.abc_1", ".own@40-16.abcdefgh"):
        (root / name / "set").mkdir(parents=True)
        (root / name / "lock").write_text(f"{socket.gethostname()} 1\n")
    (root / ".no-build").mkdir()
    (root / ".young-16.abcdefgh").mkdir()  # of a process that has not come to its lock yet
    building.build("shapes", 16)
    assert _left() == sorted([begun.name, ".no-build", ".young-16.abcdefgh", "shapes-16"])
    for place in (begun / "lock", root / ".young-16.abcdefgh"):
        os.utime(place, (time.time() - 25 * 3600,) * 2)
    building.build("shapes", 16, force=True)
    assert _left() == [".no-build", "shapes-16"]


def test_the_list_names_what_was_begun(end: Callable[..., None]) -> None:
    end()
    place = _scratch()
    shown = CliRunner().invoke(data, ["list", "shapes"], catch_exceptions=False).stdout.splitlines()[-1]
    assert shown.startswith(f"interrupted: mine at 30 px, {NOTED} of {PICTURES} pictures converted (")
    assert str(place) in shown
    document = json.loads(CliRunner().invoke(data, ["list", "shapes", "--json"], catch_exceptions=False).stdout)
    (begun,) = document["interrupted"]
    assert begun["bytes"] > 0 and begun | {"bytes": 0} == {
        "name": "mine", "resolution": 30, "path": str(place), "done": NOTED, "pictures": PICTURES, "bytes": 0,
    }  # fmt: skip


def test_a_set_that_was_about_to_be_replaced_is_put_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, root = _build(folder).sha256, paths.cache_root() / "data"
    dead = root / ".mine-30.abcdefgh"
    dead.mkdir()
    (dead / "lock").write_text(f"{socket.gethostname()} 1\n")
    (root / "mine-30").rename(dead / "replaced")  # and then the process was killed
    building.build("shapes", 16)
    assert _left() == ["mine-30", "shapes-16"] and imageset.load("mine", 30).sha256 == first

    # One that is ended there puts it back itself.
    rename = Path.rename

    def ended(self: Path, target: Path) -> Path:
        if self.name == "set":
            raise KeyboardInterrupt
        return rename(self, target)

    soft_picture(99).save(folder / "99.png")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", ended)
        _build(folder)
    assert imageset.load("mine", 30).sha256 == first != _build(folder).sha256
