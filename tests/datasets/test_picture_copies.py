"""Copies among pictures of one's own: counted once, listed together, and never on both sides of a split."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import building
from bench.data.built_set import ImageSet
from bench.data.known import datasets
from bench.data.places import recipe
from bench.errors import UserError
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


def _build(path: Path, resolution: int = 16) -> ImageSet:
    return building.build("mine", resolution, path, force=True)


def _near(number: int, path: Path, quality: int = 60) -> None:
    soft_picture(number).save(path, quality=quality)


def test_near_copies_are_listed_and_stand_on_one_side(folder: Path) -> None:
    plain = _build(folder, 30)
    tested = {centre_square(soft_picture(number)): number for number in range(20)}
    in_test = [tested[image.tobytes()] for image in plain.test]
    in_train = [tested[image.tobytes()] for image in plain.train]
    for number in (in_test[0], in_train[0]):
        _near(number, folder / f"{number:02}-a.jpg")
        _near(number, folder / f"{number:02}-b.jpg", 90)
    built = _build(folder, 30)
    assert len(built.train) + len(built.test) == 24 and not built.notes["left out"]
    assert len(built.notes["copies"]) == 2
    for number in (in_test[0], in_train[0]):
        names = [f"{number:02}-a.jpg", f"{number:02}-b.jpg", f"{number:02}.png"]
        assert any(all(name in line for name in names) and "near copies" in line for line in built.notes["copies"])
        sides: Counter[str] = Counter()
        for name in names:
            decoded = centre_square(Image.open(folder / name).convert("RGB"))
            sides["train"] += any(image.tobytes() == decoded for image in built.train)
            sides["test"] += any(image.tobytes() == decoded for image in built.test)
        assert sorted(sides.values()) == [0, 3], "whole groups go to one side"


def test_near_copies_are_ignored_where_that_is_asked_for_and_it_is_another_set(folder: Path) -> None:
    for number in range(20):
        _near(number, folder / f"{number:02}-a.jpg")
    together = _build(folder, 30)
    built = building.build("mine", 30, folder, force=True, ignore_near_copies=True)
    assert together.notes["copies"] and not built.notes["copies"] and len(built.train) + len(built.test) == 40
    assert together.sha256 != built.sha256 and recipe(together.entry) != recipe(built.entry)
    sides = [
        {number for number in range(20) for image in split if np.abs(image - _square(number, 30)).mean() < 12}
        for split in (built.train, built.test)
    ]
    assert sides[0] & sides[1], "a copy stands on each side"
    with pytest.raises(UserError, match="has its own rule for near copies; leave out --ignore-near-copies"):
        building.build("ffhq", 16, folder, ignore_near_copies=True)


def _square(number: int, side: int) -> np.ndarray:
    return np.frombuffer(centre_square(soft_picture(number)), np.uint8).reshape(side, side, 3).astype(float)


def test_near_copies_change_nothing_for_sets_built_before(folder: Path) -> None:
    _near(0, folder / "near.jpg")
    entry = datasets()  # a set of the old builder has no option `near_duplicates`
    _build(folder)
    options = {"crop": "center", "test_share": 0.2}
    old = entry.load("mine").model_copy(update={"builder": "bench.datasets.folder:build", "options": options})
    entry.add("old", "catalogue:old", "s", old)
    built = building.build("old", 16, folder)
    assert built.notes["copies"] == [] and len(built.train) + len(built.test) == 21


def test_near_copies_of_training_pictures_leave_a_test_split_that_was_given(folder: Path) -> None:
    for path in sorted(folder.glob("*.png")):
        target = folder / ("Train" if int(path.stem) < 14 else "TEST") / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    _near(3, folder / "TEST" / "near.jpg")
    for number in (1, 2):
        soft_picture(number).save(folder / "TEST" / f"twin{number}.bmp")
    built = _build(folder)
    assert (len(built.train), len(built.test)) == (14, 6)
    assert built.notes["left out"] == "left out: 3 copies of training pictures"
    assert sum("near.jpg" in line and "03.png" in line for line in built.notes["copies"]) == 1
    # Of a set of the catalogue, they are for the user to mend.
    entry = datasets().load("mine").model_copy(update={"options": {"crop": "center"}, "train": 1, "test": 1})
    datasets().add("release", "catalogue:release", "s", entry)
    with pytest.raises(UserError, match=r"(?s)2 pictures are both in train and in test.*twin1.*01.png.*twin2.*02.png"):
        building.build("release", 16, folder)


def test_a_folder_of_near_copies_alone_is_refused(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    for quality in (50, 60, 70, 80, 90):
        _near(7, folder / f"{quality}.jpg", quality)
    with pytest.raises(UserError, match="0 pictures for the test split are no near copies.* 5 of 5 pictures"):
        _build(folder)


def test_a_release_may_keep_its_copies(folder: Path) -> None:
    shutil.copy(folder / "00.png", folder / "copy.png")
    _build(folder)
    options = {"crop": "center", "duplicates": "keep", "split": "first"}
    entry = datasets().load("mine").model_copy(update={"options": options, "train": 15, "test": 5})
    datasets().add("release", "catalogue:release", "s", entry)
    built = building.build("release", 16, folder)
    assert (len(built.train), len(built.test)) == (16, 5) and not built.notes["left out"]


def test_a_copy_in_another_class_is_said_to_be_one(folder: Path) -> None:
    for path in sorted(folder.glob("*.png")):
        target = folder / ("cats" if int(path.stem) % 3 else "dogs") / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    shutil.copy(folder / "dogs" / "00.png", folder / "cats" / "00.png")
    built = _build(folder)
    assert built.notes["left out"] == "left out: 1 copies of another, in another class"
