"""CUB-200-2011: classes and split by number, and lists that do not fit the pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]

ROOT = "CUB_200_2011"
PICTURES = ["002.Laysan/b.jpg", "001.Footed/a.jpg", "001.Footed/z.jpg"]


def _release(**changed: str) -> dict[str, str | None]:
    lists = {
        "images.txt": "".join(f"{number} {path}\n" for number, path in enumerate(PICTURES, 1)),
        "classes.txt": "1 001.Footed\n2 002.Laysan\n",
        "image_class_labels.txt": "1 2\n2 1\n3 1\n",
        "train_test_split.txt": "1 0\n2 1\n3 0\n",
        **{key.replace("_txt", ".txt"): value for key, value in changed.items()},
    }
    pictures: dict[str, str | None] = {f"{ROOT}/images/{path}": None for path in PICTURES}
    return {**pictures, **{f"{ROOT}/{name}": text for name, text in lists.items()}, "attributes.txt": "1 has_bill\n"}


def test_classes_and_split_are_the_publishers(arrange: Arrange) -> None:
    found = arrange("cub", _release())
    assert [(item.name, item.label, item.split) for item in found.items] == [
        (f"{ROOT}/images/001.Footed/a.jpg", "001.Footed", "train"),
        (f"{ROOT}/images/001.Footed/z.jpg", "001.Footed", "test"),
        (f"{ROOT}/images/002.Laysan/b.jpg", "002.Laysan", "test"),
    ]
    assert found.class_names == ("001.Footed", "002.Laysan") and found.left_out == {"side files": 5}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"images_txt": "1 001.Footed/a.jpg\n2 001.Footed/none.jpg\n"},
            "1 of 2 listed pictures are missing",
        ),
        ({"images_txt": "1 001.Footed/a.jpg\n1 001.Footed/z.jpg\n"}, "images.txt: lists a number twice"),
        ({"images_txt": "1\n"}, "images.txt: entry 1 has 1 fields, not 2"),
        (
            {"image_class_labels_txt": "1 3\n2 1\n3 1\n"},
            "labels.txt: gives picture 1 no class of classes.txt",
        ),
        (
            {"train_test_split_txt": "1 2\n2 1\n3 1\n"},
            "does not say of picture 1 whether it is for training",
        ),
        ({"train_test_split_txt": "2 1\n3 1\n"}, "does not say of picture 1 whether it is for training"),
    ],
)
def test_lists_that_do_not_fit_are_refused(arrange: Arrange, changed: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        arrange("cub", _release(**changed))


def test_a_missing_list_is_named(arrange: Arrange) -> None:
    files = _release()
    del files[f"{ROOT}/train_test_split.txt"]
    with pytest.raises(UserError, match="train_test_split.txt is missing; put it in there, as its publisher has it"):
        arrange("cub", files)
