"""Pictures of one's own from any container: all accounted for, the same bytes each way, no copy on both sides."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from bench import paths
from bench.cli.data import data
from bench.data import building, imageset, verification
from bench.data import meta as meta_file
from bench.data.built_set import ImageSet
from bench.data.decoding import DecodeInto
from bench.data.known import datasets
from bench.errors import UserError
from bench.machine import workers
from soft_pictures import centre_square, soft_picture


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    """Twenty pictures of 40 x 30 pixels."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(20):
        soft_picture(number).save(root / f"{number:02}.png")
    return root


def _build(path: Path, resolution: int = 16, **options) -> ImageSet:
    return building.build("mine", resolution, path, force=True, **options)


def _zip(root: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(root))


def _tar(root: Path, path: Path, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for file in sorted(root.rglob("*"), reverse=True):
            archive.add(file, f"photos/{file.relative_to(root)}", recursive=False)


def _spoil(root: Path) -> None:
    """A copy, a twin in pixels, bad files, files of tools, files that are none: ten kinds of what is left out."""
    shutil.copy(root / "00.png", root / "copy.png")
    soft_picture(1).save(root / "twin.bmp")
    (root / "cut.png").write_bytes((root / "02.png").read_bytes()[:-300])
    (root / "text.jpg").write_text("no picture")
    soft_picture(3, (40, 8)).save(root / "small.png")
    (root / "notes.txt").write_text("x")
    for name in (".DS_Store", "__MACOSX/00.png", "@eaDir/00.png/thumb.jpg", "Thumbs.db", ".thumbs/00.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((root / "00.png").read_bytes())


PACKERS: dict[str, Callable[[Path, Path], None]] = {
    "zip": _zip,
    "tar": _tar,
    "tar.gz": lambda root, path: _tar(root, path, "w:gz"),
    "tar.xz": lambda root, path: _tar(root, path, "w:xz"),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_an_archive_gives_the_bytes_of_the_folder(folder: Path, kind: str) -> None:
    Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50).save(folder / "deep.png")
    expected = _build(folder).sha256
    packed = folder.parent / "no-suffix"
    PACKERS[kind](folder, packed)
    assert _build(packed).sha256 == expected
    left = {path.name for path in (paths.cache_root() / "data" / "mine-16").iterdir()}
    assert left == {"train.npy", "test.npy", "meta.json", "LICENCE.txt", "contact-sheet.png"}


@pytest.mark.parametrize("kind", ["folder", *PACKERS])
def test_every_file_of_an_odd_container_is_used_or_counted(folder: Path, kind: str) -> None:
    _spoil(folder)
    found, path = sum(file.is_file() for file in folder.rglob("*")), folder
    if kind == "folder":
        os.mkfifo(folder / "pipe.png")
        found += 1
    else:
        path = folder.parent / f"a.{kind}"
        PACKERS[kind](folder, path)
    arguments = ["build", "mine", "--resolution", "16", "--from", str(path), "--skip-bad"]
    done = CliRunner().invoke(data, arguments, catch_exceptions=False)
    last = done.stdout.strip().splitlines()[-1]
    pipes = ", 1 pipes, sockets and devices" if kind == "folder" else ""
    assert last.startswith(
        "mine at 16 px: 16 train + 4 test images; left out: 1 .txt, 1 @eaDir, 1 Thumbs.db, 1 __MACOSX, 1 copies of "
        f"another, 2 hidden{pipes}, 1 with the same pixels as another, 3 bad; sha256"
    )
    meta = meta_file.read_meta(paths.cache_root() / "data" / "mine-16")
    assert meta["notes"]["files found"] == found == 20 + 11 + bool(pipes)
    assert done.stderr.count("skipped:") == 3 and "00.png: copies copy.png" in done.stderr.replace("photos/", "")


def test_a_film_is_left_out_and_a_picture_as_large_is_bad(folder: Path) -> None:
    for name in ("film.mp4", "huge.png", "no-suffix"):
        with (folder / name).open("wb") as file:
            file.truncate(2**29 + 1)  # sparse
    built = _build(folder, skip_bad=2)
    assert built.notes["left out"] == "left out: 1 .mp4, 2 bad"
    assert all("536,870,913 bytes; at most 536,870,912 are read" in line for line in built.notes["bad"])


def test_files_of_a_hundred_kinds_are_counted_in_a_short_line(folder: Path) -> None:
    for number in range(100):
        (folder / f"model.{number}").write_text("x")
    (folder / ".hidden").write_text("x")
    told = _build(folder).notes["left out"]
    assert told.startswith("left out: 1 .0, 1 .1, 1 .10, ") and told.endswith(", 1 hidden, 81 of 81 other kinds")


def test_names_of_copies_are_printed_on_one_line(folder: Path) -> None:
    shutil.copy(os.fsencode(folder / "00.png"), os.fsencode(folder) + b"/99\xff\n\x1b[31m.png")
    done = CliRunner().invoke(
        data, ["build", "mine", "--resolution", "16", "--from", str(folder)], catch_exceptions=False
    )
    assert done.exit_code == 0 and "00.png: copies 99\\udcff\\n\\x1b[31m.png" in done.stderr


def test_worker_processes_give_the_bytes_of_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _spoil(folder)
    alone = _build(folder, skip_bad=True, jobs=1)
    monkeypatch.setattr(workers, "PATIENCE", -1)
    _tar(folder, folder.parent / "a.tgz", "w:gz")
    for path in (folder, folder.parent / "a.tgz"):
        shared = _build(path, skip_bad=True, jobs=2)
        assert shared.sha256 == alone.sha256 and shared.notes["left out"].startswith("left out: 1 .txt, 1 @eaDir")


def test_skip_bad_takes_the_most_that_may_be_left_out(folder: Path) -> None:
    _spoil(folder)
    for allowed in (0, 2, False):
        with pytest.raises(UserError, match=r"3 of 25 pictures cannot be used .*\n.*cut.*\n.*small.*\n.*text"):
            _build(folder, skip_bad=allowed)
        assert not (paths.cache_root() / "data" / "mine-16").exists()
    assert len(_build(folder, skip_bad=3).train) == len(_build(folder, skip_bad=True).train) == 16
    for option, status in (("--skip-bad=2", 1), ("--skip-bad=3", 0), ("--skip-bad", 0)):
        done = CliRunner().invoke(
            data, ["build", "mine", "--resolution", "16", "--from", str(folder), "--force", option]
        )
        assert bool(done.exit_code) == bool(status), done.output


def _in_classes(root: Path) -> None:
    for path in sorted(root.glob("*.png")):
        target = root / ("cats" if int(path.stem) % 3 else "Dogs") / "deeper" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def test_class_folders_are_labels_of_new_sets_and_not_of_those_of_before(folder: Path) -> None:
    plain = _build(folder)
    assert plain.train_labels is None and plain.class_names == () and not plain.notes["lost classes"]
    _in_classes(folder)
    (folder / "README.md").write_text("a file beside the classes is no picture")
    built = _build(folder, 30)
    assert built.class_names == ("Dogs", "cats")
    for images, labels in ((built.train, built.train_labels), (built.test, built.test_labels)):
        assert labels is not None
        shown = {centre_square(soft_picture(number)): number for number in range(20)}
        assert [int(shown[image.tobytes()] % 3 > 0) for image in images] == labels.tolist()
    soft_picture(50).save(folder / "beside.png")
    bare = _build(folder)
    assert bare.class_names == ()
    assert bare.notes["lost classes"] == "no classes, as 1 of 21 pictures have none, such as beside.png"
    (folder / "beside.png").unlink()
    entry = (
        datasets()
        .load("mine")
        .model_copy(
            update={"builder": "bench.datasets.folder:build", "options": {"crop": "center"}, "train": 1, "test": 1}
        )
    )
    datasets().add("old", "catalogue:old", "s", entry)
    assert building.build("old", 16, folder).train_labels is None


def test_a_table_among_the_pictures_gives_labels_and_attributes(folder: Path) -> None:
    rows = [
        f"{number:02}.png,{'cat' if number % 2 else 'dog'},{number % 5 == 0},said: {number}" for number in range(19)
    ]
    (folder / "metadata.csv").write_text("\n".join(["file_name,label,striped,caption", *rows]))
    built = _build(folder, 30)
    assert built.class_names == ("cat", "dog") and built.attribute_names == ("striped",)
    assert built.notes["left out"] == "left out: 1 side files, 1 without a row in the table"
    shown = {centre_square(soft_picture(number)): number for number in range(20)}
    numbers = np.array([shown[image.tobytes()] for image in built.train])
    assert built.train_labels is not None and built.train_attributes is not None
    assert np.array_equal(built.train_labels, 1 - numbers % 2)
    assert np.array_equal(built.train_attributes[:, 0], numbers % 5 == 0)


def test_shots_are_remembered_with_the_set_and_are_no_part_of_its_recipe(folder: Path) -> None:
    without = _build(folder)
    meta = meta_file.read_meta(paths.cache_root() / "data" / "mine-16")
    assert meta["own"]["shots"] is None
    with_shots = _build(folder, shots=10)
    datasets.cache_clear()  # as another process would find it
    assert imageset.load("mine", 16).entry.shots == 10 and with_shots.sha256 == without.sha256
    assert meta_file.read_meta(paths.cache_root() / "data" / "mine-16")["recipe"] == meta["recipe"]
    with pytest.raises(UserError, match="data set 'mine': --shots 17 of 16 training images"):
        _build(folder, shots=17)
    assert imageset.load("mine", 16).entry.shots == 10, "a build that is refused replaces nothing"
    with pytest.raises(UserError, match="'ffhq' has the shots of each table's columns; leave out --shots"):
        building.build("ffhq", 16, folder, shots=5)


@pytest.mark.parametrize("size", [(40, 30), (31, 57), (16, 16), (17, 90)])
def test_center_crop_is_that_of_torchvision(folder: Path, size: tuple[int, int]) -> None:
    for path in folder.iterdir():
        path.unlink()
    pictures = [soft_picture(number, size) for number in range(5)]
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
    resize = Compose([Resize(16, InterpolationMode.BILINEAR, antialias=True), CenterCrop(16)])
    expected = {np.asarray(resize(picture)).tobytes() for picture in pictures}
    built = _build(folder, fit="center-crop")
    assert {image.tobytes() for image in (*built.train, *built.test)} == expected
    assert built.entry.options["fit"] == "center-crop" and verification.verify("mine", 16)


def test_the_default_fit_is_clean_which_iscentre_square(folder: Path) -> None:
    sums = {fit: _build(folder, fit=fit).sha256 for fit in (None, "clean", "centre", "stretch", "center-crop")}
    assert sums[None] == sums["clean"] == sums["centre"] and len(set(sums.values())) == 3
    with pytest.raises(UserError, match="fit 'top' is unknown; known are clean, centre, stretch, center-crop"):
        _build(folder, fit="top")


def test_an_interrupted_build_leaves_nothing_and_the_old_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _build(folder)
    soft_picture(99).save(folder / "99.png")

    def interrupted(self: DecodeInto, place: tuple[int, str]) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(DecodeInto, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _build(folder)
    with pytest.raises(KeyboardInterrupt):
        _build(folder, 24)
    assert [path.name for path in (paths.cache_root() / "data").iterdir()] == ["mine-16"]
    assert imageset.load("mine", 16).sha256 == first.sha256


def test_a_disk_that_is_too_small_is_said_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=20 * 16 * 16 * 3 * 2 - 1))
    monkeypatch.delattr(DecodeInto, "__call__")
    with pytest.raises(
        UserError, match=r"data set 'mine': 40 images need 0\.0 GB.*free; BENCH_CACHE names another place"
    ):
        _build(folder)
    assert list((paths.cache_root() / "data").iterdir()) == []


def test_hostile_names_stay_on_their_line(folder: Path) -> None:
    strange = os.fsdecode(os.fsencode(folder) + b"/\xff\nskipped: all is well\x1b[31m.png")
    Path(strange).write_bytes(b"no picture")
    with zipfile.ZipFile(folder.parent / "a.zip", "w") as archive:
        archive.writestr("line\nbreak.png", b"no picture")
        content = io.BytesIO()
        soft_picture(0).save(content, "PNG")
        archive.writestr("a.png", content.getvalue())
    for path, shown in (
        (folder, r"\udcff\nskipped: all is well\x1b[31m.png"),
        (folder.parent / "a.zip", r"line\nbreak.png"),
    ):
        with pytest.raises(UserError) as refused:
            _build(path)
        assert shown in str(refused.value) and len(str(refused.value).splitlines()) == 2
        done = CliRunner().invoke(
            data, ["build", "mine", "--resolution", "16", "--from", str(folder), "--skip-bad", "--force"]
        )
        assert done.exit_code == 0, done.output


def test_a_share_is_not_asked_of_a_folder_with_splits_of_its_own(folder: Path) -> None:
    for path in sorted(folder.glob("*.png")):
        target = folder / ("train" if int(path.stem) < 14 else "test") / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    with pytest.raises(UserError, match="pictures: has a training and a test split of its own; leave out --test-share"):
        _build(folder, test_share=0.2)
    assert len(_build(folder).test) == 6


def test_a_container_without_pictures_says_what_it_holds(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "pictures.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"pictures: no picture that can be used was found \(left out: 1 \.zip\)$"):
        _build(folder)
    (folder / "pictures.zip").unlink()
    with pytest.raises(UserError, match=r"pictures: no picture that can be used was found$"):
        _build(folder)
