"""Pictures by number, at any depth, and the tree of LSUN whose folders mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UserError

Arrange = Callable[..., Any]


def test_pictures_come_in_the_order_of_their_numbers(arrange: Arrange) -> None:
    found = arrange("numbered", {"10.jpg": None, "9.jpg": None, "01000/01000.png": None, "LICENSE.txt": "free"})
    assert [item.name for item in found.items] == ["9.jpg", "10.jpg", "01000/01000.png"]
    assert found.left_out == {"not numbered": 1}


def test_one_size_of_two_is_taken(arrange: Arrange) -> None:
    files = {f"{folder}/00000/{number:05}.png": None for folder in ("images", "thumbs") for number in range(3)}
    found = arrange("numbered", files, within=["images"])
    assert [item.name for item in found.items] == [f"images/00000/{number:05}.png" for number in range(3)]
    with pytest.raises(
        UserError, match="number 00000 is given twice: images/00000/00000.png and thumbs/00000/00000.png"
    ):
        arrange("numbered", files)


def test_lsun_leaves_out_what_is_not_for_training(arrange: Arrange) -> None:
    files = {"a/0/f/x.webp": None, "b/1/2/y.webp": None}
    assert [item.name for item in arrange("lsun", files).items] == sorted(files)
    more = {
        "bedroom_val_lmdb/a/z.webp": None, "val/a/w.webp": None, "test_lmdb/u.webp": None,
        "bedroom_train_lmdb/t/v.webp": None,
    }  # fmt: skip
    found = arrange("lsun", more)
    assert found.left_out["of the validation or test database"] == 3
    assert "bedroom_train_lmdb/t/v.webp" in [item.name for item in found.items]
