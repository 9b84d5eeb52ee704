"""Contact sheets of built sets: which images are on them, and what is refused before anything is written."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from bench.data import showing
from bench.data.building import build
from bench.data.contact_sheet import GAP, contact_sheet
from bench.data.draws import training_images
from bench.data.imageset import load
from bench.data.showing import Choice, show
from bench.errors import UserError
from bench.spec.run import DataSpec


@pytest.fixture(scope="module")
def digits():
    """Labelled, built once for all tests."""
    return load("digits", 16)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)


def on_sheet(path, count, columns, side=64):
    """The images of a sheet, each made 16 px again."""
    sheet = np.asarray(Image.open(path))
    cells = []
    for place in range(count):
        top, left = (GAP + index * (side + GAP) for index in divmod(place, columns))
        cells.append(sheet[top : top + side : side // 16, left : left + side : side // 16])
    return np.stack(cells)


def test_images_are_spread_evenly_over_a_split(digits):
    path, text = show("digits", 16, Choice(count=4), None)
    assert str(path) == "digits-16-train.png" and text == "4 of 2,500 train images of digits at 16 px"
    assert (on_sheet(path, 4, 2) == digits.train[[0, 833, 1666, 2499]]).all()
    path, text = show("digits", 16, Choice("test"), None)
    assert str(path) == "digits-16-test.png" and text.startswith("64 of 2,500 test images")
    assert (on_sheet(path, 64, 8)[-1] == digits.test[-1]).all()


def test_images_of_a_class(digits, tmp_path):
    path, text = show("digits", 16, Choice(count=9, class_name="7"), tmp_path / "sevens.PNG")
    assert text == "9 of 250 7 train images of digits at 16 px"
    sevens = digits.train[digits.train_labels == 7]
    assert (on_sheet(path, 9, 3) == sevens[np.linspace(0, 249, 9).round().astype(int)]).all()


def test_the_images_of_a_draw(digits):
    path, text = show("digits", 16, Choice(shots=20, seed=3), None)
    drawn = training_images(DataSpec(name="digits", resolution=16, shots=20), 3).images
    assert text == "the draw of 20 training images by seed 3 of digits at 16 px"
    assert (on_sheet(path, 20, 5) == drawn).all()


def test_only_a_sheet_is_replaced(tmp_path):
    path = tmp_path / "sheet.png"
    show("digits", 16, Choice(count=1), path)
    first = path.read_bytes()
    show("digits", 16, Choice(count=2), path)
    assert path.read_bytes() != first
    contact_sheet(np.zeros((1, 8, 8, 3), np.uint8)).save(path)
    with pytest.raises(UserError, match="exists and is no sheet of `bench data show`"):
        show("digits", 16, Choice(), path)
    path.write_bytes(first[:40])
    with pytest.raises(UserError, match="exists and is no sheet"):
        show("digits", 16, Choice(), path)
    assert path.read_bytes() == first[:40]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(class_name="nine"), "unknown class 'nine'"),
        (Choice(shots=2501), "2501 shots, but data set .digits. at 16 px has 2500 training images"),
        (Choice(shots=10**9), "a sheet holds at most 22,956 images of 16 px"),
    ],
    ids=str,
)
def test_choices_that_the_set_does_not_have(choice, said, tmp_path):
    with pytest.raises(UserError, match=said):
        show("digits", 16, choice, None)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_would_not_fit_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(showing, "MOST_PIXELS", 66**2 * 10)
    assert show("digits", 16, Choice(count=10), None)[1].startswith("10 of")
    with pytest.raises(UserError, match="--count 11: a sheet holds at most 10 images"):
        show("digits", 16, Choice(count=11), None)


def test_sets_without_classes_and_sets_that_are_not_built(digits, tmp_path, monkeypatch, fresh_registries):
    (tmp_path / "pictures").mkdir()
    for number in range(6):
        Image.fromarray(digits.train[number]).save(tmp_path / "pictures" / f"{number}.png")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    build("mine", 16, tmp_path / "pictures")
    with pytest.raises(UserError, match="--class 7: data set 'mine' has no classes in test"):
        show("mine", 16, Choice("test", class_name="7"), None)
    with pytest.raises(UserError, match="did you mean 'digits'"):
        show("digit", 16, Choice(), None)
    with pytest.raises(
        UserError, match="'obama' at 16 px is not built; run `bench data build obama --resolution 16 --from"
    ):
        show("obama", 16, Choice(), None)


def test_places_that_take_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name, said in (
        ("sheet.jpg", "end its name in .png"),
        ("missing/sheet.png", "there is no folder"),
        ("folder.png", "exists and is no sheet"),
        ("pipe.png", "exists and is no sheet"),
        (f"{'x' * 300}.png", "cannot be written: File name too long"),
    ):
        with pytest.raises(UserError, match=said):
            show("digits", 16, Choice(), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "pipe.png"]
