"""Sets of one folder: whatever it is called, one of several by its name, and never a neighbour's pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]


def _names(arranged: Any) -> list[str]:
    return [item.name for item in arranged.items]


def test_one_folder_is_taken_whatever_it_is_called(arrange: Arrange) -> None:
    found = arrange(
        "flat", {"mine/img/0.jpg": None, "mine/img/1.png": None, "mine/README.txt": "hello"}, within=["skulls"]
    )
    assert _names(found) == ["mine/img/0.jpg", "mine/img/1.png"]
    assert found.left_out == {"beside the pictures' folder": 1}
    assert found.items[0].label is found.items[0].split is None and found.class_names == ()


def test_files_without_suffixes_are_left_to_the_builder(arrange: Arrange) -> None:
    assert _names(arrange("flat", {"a": None, "b": None})) == ["a", "b"]


def test_the_folder_of_this_set_is_taken_from_many(arrange: Arrange) -> None:
    files = {"few-shot-images/skulls/img/0.jpg": None, "few-shot-images/shells/img/0.jpg": None}
    found = arrange("flat", files, within=["skulls", "skull"])
    assert _names(found) == ["few-shot-images/skulls/img/0.jpg"]
    assert found.left_out == {"in folders of other sets": 1}


def test_a_neighbour_is_never_taken_for_the_set(arrange: Arrange) -> None:
    files = {"few-shot-images/panda/0.jpg": None, "few-shot-images/shells/0.jpg": None}
    with pytest.raises(UserError) as caught:
        arrange("flat", files, within=["skulls", "skull"])
    assert "has pictures in 2 folders, such as few-shot-images/panda and few-shot-images/shells" in str(caught.value)
    assert "none of which is called skulls or skull; give the folder that holds the set" in str(caught.value)
    with pytest.raises(UserError, match=r"in 2 folders, such as \. and b; give the folder"):
        arrange("flat", {"a.jpg": None, "b/b.jpg": None})
