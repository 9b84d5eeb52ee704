"""The default layout: splits and classes by folders, labels and attributes by a table, and what is refused."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.data.sources.folder import FolderSource
from bench.errors import UserError

# Not by an import statement: the folder is mounted at this name, where a type checker does not see it.
layout = importlib.import_module("bench.datasets.layouts.arrangement").layout
classes_of = importlib.import_module("bench.datasets.layouts.image_folder").classes_of


def _arranged(root: Path, files: Sequence[str] | Mapping[str, str], **options: Any) -> Any:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(files[name] if isinstance(files, Mapping) else "")
    source = FolderSource(root)
    items = tuple(source.items())
    arranged = layout("image-folder")(source, items, options)
    assert len(items) == len(arranged.items) + arranged.left_out.total()
    return arranged


def _said(arranged: Any) -> dict[str, tuple[str | None, str | None]]:
    return {item.name: (item.split, item.label) for item in arranged.items}


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Train", "TEST"), ("training", "testing"), ("train", "val"), ("TRAIN", "Validation")],
)
def test_splits_in_any_capitals_and_spelling_with_classes_inside(tmp_path: Path, train: str, test: str) -> None:
    names = [f"{train}/b/1.png", f"{train}/a/x/2.png", f"{test}/a/3.png", f"{test}/b/4.png", "README.md", "other/5.png"]
    arranged = _arranged(tmp_path, names)
    assert _said(arranged) == {
        f"{train}/b/1.png": ("train", "b"), f"{train}/a/x/2.png": ("train", "a"),
        f"{test}/a/3.png": ("test", "a"), f"{test}/b/4.png": ("test", "b"),
    }  # fmt: skip
    assert arranged.left_out == Counter({"beside train/ and test/": 2})
    assert classes_of(arranged.items) == ("a", "b")


def test_beside_a_test_split_validation_is_left_out(tmp_path: Path) -> None:
    arranged = _arranged(tmp_path, ["train/1.png", "test/2.png", "val/3.png", "valid/4.png"])
    assert _said(arranged) == {"test/2.png": ("test", None), "train/1.png": ("train", None)}
    assert arranged.left_out == Counter({"of the validation split": 2})


def test_one_split_alone_is_refused_and_test_without_train_is_a_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has a folder train/ but not the other of train/ and test/; give that folder"):
        _arranged(tmp_path / "a", ["train/1.png", "more/2.png"])
    with pytest.raises(UserError, match=r"or, if train is a class like bus, car, give its folder .* \(trains"):
        _arranged(tmp_path / "c", ["bus/1.png", "car/2.png", "Train/3.png"])
    with pytest.raises(UserError, match=r"a folder train/ but not .* to have it divided at random$"):
        _arranged(tmp_path / "d", ["train/cat/1.png", "train/dog/2.png", "README.md"])
    assert classes_of(_arranged(tmp_path / "b", ["test/1.png", "more/2.png"]).items) == ("more", "test")


def test_a_folder_around_everything_does_not_count(tmp_path: Path) -> None:
    names = ["data/set/train/1.png", "data/set/test/2.png", "data/set/notes.txt", "LICENSE"]
    arranged = _arranged(tmp_path / "a", names)
    assert _said(arranged) == {"data/set/train/1.png": ("train", None), "data/set/test/2.png": ("test", None)}
    arranged = _arranged(tmp_path / "b", ["cats/1.png", "cats/2.png"])
    assert classes_of(arranged.items) == () and set(_said(arranged).values()) == {(None, None)}
    arranged = _arranged(tmp_path / "c", ["x/cats/1.png", "x/dogs/2.png"])
    assert classes_of(arranged.items) == ("cats", "dogs")


def test_classes_need_every_picture_and_two_of_them(tmp_path: Path) -> None:
    arranged = _arranged(tmp_path, ["cats/1.png", "dogs/2.png", "3.png", "README.md"])
    pictures = [item for item in arranged.items if item.name.endswith("png")]
    assert classes_of(pictures) == ()
    assert classes_of(item for item in pictures if "/" in item.name) == ("cats", "dogs")


def test_options_of_the_first_sets_turn_new_rules_off(tmp_path: Path) -> None:
    names = ["Train/a/1.png", "Test/b/2.png", "metadata.csv"]
    arranged = _arranged(tmp_path / "a", names, split_names="exact", labels="none")
    assert set(_said(arranged).values()) == {(None, None)} and len(arranged.items) == 3
    arranged = _arranged(tmp_path / "b", ["train/a/1.png", "test/b/2.png"], split_names="exact", labels="none")
    assert set(_said(arranged).values()) == {("train", None), ("test", None)}
    arranged = _arranged(tmp_path / "b", [], reference="all")
    assert {item.split for item in arranged.items} == {None}
    with pytest.raises(UserError, match="has a folder test/ but not the other"):
        _arranged(tmp_path / "c", ["test/a/1.png", "b/2.png"], split_names="exact", labels="none")


CSV = """file_name,label,glasses,hat,caption
1.png,cat,True,0,"said, ""so""
on two lines"
2.png,dog,false,1,other
"""
JSONL = """
{"file_name": "1.png", "label": "cat", "glasses": true, "hat": 0, "caption": "so", "boxes": [1, 2]}
{"file_name": "2.png", "label": "dog", "glasses": false, "hat": 1, "caption": "other", "boxes": []}
"""


@pytest.mark.parametrize(("name", "text"), [("metadata.csv", CSV), ("metadata.jsonl", JSONL), ("METADATA.CSV", CSV)])
def test_a_table_gives_classes_and_attributes(tmp_path: Path, name: str, text: str) -> None:
    arranged = _arranged(tmp_path, {name: text, "1.png": "", "2.png": "", "3.png": "", "notes.txt": ""})
    assert _said(arranged) == {"1.png": (None, "cat"), "2.png": (None, "dog")}
    assert arranged.class_names == ("cat", "dog") and arranged.attribute_names == ("glasses", "hat")
    assert [dict(item.attributes) for item in arranged.items] == [
        {"glasses": True, "hat": False},
        {"glasses": False, "hat": True},
    ]
    assert arranged.left_out == Counter({"side files": 1, "without a row in the table": 2})


def test_each_split_may_have_its_table_and_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    files = {
        "data/train/metadata.csv": "file_name,label\na/1.png,10\n2.png,9\n",
        "data/test/metadata.jsonl": '{"file_name": "3.png", "label": 2}\n',
        "data/train/a/1.png": "", "data/train/2.png": "", "data/test/3.png": "",
    }  # fmt: skip
    arranged = _arranged(tmp_path, files)
    assert _said(arranged) == {
        "data/train/a/1.png": ("train", "10"), "data/train/2.png": ("train", "9"), "data/test/3.png": ("test", "2"),
    }  # fmt: skip
    assert arranged.class_names == ("2", "9", "10")


def test_a_table_beside_the_splits_is_read(tmp_path: Path) -> None:
    """With other tables inside them, and with rows of pictures that are left out."""
    files = {
        "data/metadata.csv": "file_name,label\ntrain/1.png,cat\ntest/2.png,dog\nval/3.png,cat\n",
        "data/train/1.png": "", "data/test/2.png": "", "data/val/3.png": "", "data/train/4.png": "",
        "data/train/metadata.csv": "file_name,label\n4.png,dog\n", "data/notes.txt": "",
    }  # fmt: skip
    arranged = _arranged(tmp_path, files)
    assert _said(arranged) == {
        "data/train/1.png": ("train", "cat"), "data/test/2.png": ("test", "dog"), "data/train/4.png": ("train", "dog"),
    }  # fmt: skip
    assert arranged.left_out == Counter({"of the validation split": 1, "beside train/ and test/": 1, "side files": 2})
    (tmp_path / "data" / "metadata.csv").write_text("file_name,label\ntrain/1.png,cat\ntest/5.png,dog\n")
    with pytest.raises(UserError, match=r"metadata\.csv: row 2: names data/test/5\.png, which is not in"):
        _arranged(tmp_path, [])


def test_classes_that_are_all_numbers_are_in_their_order(tmp_path: Path) -> None:
    """So that the number of a label is the name of its class, from 0 or 1 on."""
    assert classes_of(_arranged(tmp_path / "a", [f"{name}/1.png" for name in ("10", "2", "1")]).items) == (
        "1",
        "2",
        "10",
    )
    names = ("10", "2", "b", "1")
    assert classes_of(_arranged(tmp_path / "b", [f"{name}/1.png" for name in names]).items) == ("1", "10", "2", "b")
    table = "file_name,label\n" + "".join(f"{name}.png,{name}\n" for name in names)
    files = {"metadata.csv": table, **{f"{name}.png": "" for name in names}}
    assert _arranged(tmp_path / "c", files).class_names == ("1", "10", "2", "b")
    odd = ("٣", "9" * 19, "1")  # a digit of another script, and a number beyond 64 bits
    assert classes_of(_arranged(tmp_path / "d", [f"{name}/1.png" for name in odd]).items) == tuple(sorted(odd))


def test_a_file_of_that_name_without_file_names_is_no_table(tmp_path: Path) -> None:
    arranged = _arranged(tmp_path, {"metadata.csv": "a,b\n1,2\n", "x/1.png": "", "y/2.png": ""})
    assert classes_of(item for item in arranged.items if item.label) == ("x", "y") and len(arranged.items) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_name,label\n1.png,a\n5.png,b\n", r"metadata\.csv: row 2: names 5\.png, which is not in"),
        ("file_name,label\n1.png,a\n1.png,b\n", r"row 2: names 1\.png, which an earlier row names too"),
        ("file_name,label\n1.png,a\n2.png,\n", r"row 2: has no label, as other rows have"),
        ("file_name,hat\n1.png,yes\n2.png,\n", r"row 2: has no hat, as other rows have"),
        ("file_name,label\n../1.png,a\n", r"row 1 names \.\./1\.png, which leads out of its folder"),
        ("file_name,label\n/etc/passwd,a\n", r"row 1 names /etc/passwd, which leads out of its folder"),
        ('file_name,label\n"1.png,a\n', r"metadata\.csv: is no table of comma-separated values"),
        ("file_name,label\n1.png,\udcff\n", r"metadata\.csv: is no text, at byte 22"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).touch()
    (tmp_path / "metadata.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=message) as refused:
        _arranged(tmp_path, [])
    assert "\n" not in str(refused.value)


def test_a_column_that_the_first_row_lacks_is_not_passed_over(tmp_path: Path) -> None:
    rows = '{"file_name": "1.png"}\n{"file_name": "2.png", "label": "cat"}\n'
    with pytest.raises(UserError, match=r"metadata\.jsonl: row 1: has no label, as other rows have"):
        _arranged(tmp_path, {"metadata.jsonl": rows, "1.png": "", "2.png": ""})


def test_a_column_without_values_is_no_attribute(tmp_path: Path) -> None:
    table = "file_name,hat,notes,maybe\n1.png,yes,,yes\n2.png,no,,perhaps\n"
    arranged = _arranged(tmp_path, {"metadata.csv": table, "1.png": "", "2.png": ""})
    assert arranged.attribute_names == ("hat",)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, '{"file_name": "1.png"}\n{"label": 1}'])
def test_lines_that_are_no_records_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"metadata\.jsonl: row [12] (is no JSON|has no file_name)"):
        _arranged(tmp_path, {"metadata.jsonl": text, "1.png": ""})
