"""Places365: the wanted classes by their folders, held against the publisher's list where it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]

CLASSES = ["a/alley", "a/art_gallery"]
FILES: dict[str, str | None] = {
    "data_256/a/alley/2.jpg": None,
    "data_256/a/alley/1.jpg": None,
    "data_256/a/art_gallery/1.jpg": None,
    "data_256/a/art_gallery/extra.jpg": None,
    "data_256/b/bar/1.jpg": None,
    "val_256/Places365_val_00000001.jpg": None,
}
LIST = "/a/alley/1.jpg 7\n/a/alley/2.jpg 7\n/a/art_gallery/1.jpg 19\n/b/bar/9.jpg 30\n"


def test_the_wanted_classes_are_found_by_their_folders(arrange: Arrange) -> None:
    found = arrange("places365", FILES, classes=CLASSES)
    assert [(item.name, item.label) for item in found.items] == [
        ("data_256/a/alley/1.jpg", "a/alley"),
        ("data_256/a/alley/2.jpg", "a/alley"),
        ("data_256/a/art_gallery/1.jpg", "a/art_gallery"),
        ("data_256/a/art_gallery/extra.jpg", "a/art_gallery"),
    ]
    assert found.class_names == tuple(CLASSES) and found.left_out == {"of other classes, or no pictures": 2}


def test_the_list_says_which_pictures_there_are(arrange: Arrange) -> None:
    found = arrange("places365", {**FILES, "places365_train_standard.txt": LIST}, classes=CLASSES)
    assert "data_256/a/art_gallery/extra.jpg" not in [item.name for item in found.items]
    assert len(found.items) == 3  # the other class is not missed


def test_a_class_that_is_not_whole_is_refused(arrange: Arrange) -> None:
    listed = LIST + "/a/alley/3.jpg 7\n"
    with pytest.raises(UserError, match=r"names 3 pictures of a/alley, of which 1 are missing, such as 3\.jpg"):
        arrange("places365", {**FILES, "places365_train_standard.txt": listed}, classes=CLASSES)


def test_a_class_that_is_absent_or_there_twice_is_refused(arrange: Arrange) -> None:
    with pytest.raises(UserError, match="has no pictures of b/ballroom"):
        arrange("places365", FILES, classes=[*CLASSES, "b/ballroom"])
    with pytest.raises(UserError, match=r"has a/alley/1\.jpg twice: copy/a/alley/1\.jpg and data_256/a/alley/1\.jpg"):
        arrange("places365", {**FILES, "copy/a/alley/1.jpg": None}, classes=CLASSES)
