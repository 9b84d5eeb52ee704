"""Releases whose container says class and split of every picture: CIFAR, downsampled ImageNet, STL-10."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.sources.source import Item, Source
from bench.errors import UserError

recorded = importlib.import_module("bench.datasets.layouts.recorded")


class Records(Source):
    """A container without pixels."""

    def items(self) -> Iterator[Item]:
        yield from ()

    def read(self, name: str, most: int | None = None) -> np.ndarray:
        raise AssertionError("a layout reads no pictures")


def _arrange(*items: tuple[str | None, str | None], **options: str) -> Any:
    given = [Item(f"{number:04}", label, split) for number, (label, split) in enumerate(items)]
    found = recorded.arrange(Records(Path("release")), given, options)
    assert len(found.items) + found.left_out.total() == len(items)
    return found


def test_classes_and_splits_are_taken_as_they_are() -> None:
    found = _arrange(("ship", "train"), ("cat", "train"), ("cat", "test"), ("dog", "validation"))
    assert [(item.label, item.split) for item in found.items] == [("ship", "train"), ("cat", "train"), ("cat", "test")]
    assert found.class_names == ("cat", "ship") and found.left_out == {"of other splits": 1}


def test_classes_that_are_numbers_are_in_their_order() -> None:
    assert _arrange(("10", "train"), ("9", "test"), ("1", "train")).class_names == ("1", "9", "10")


def test_pictures_without_a_split_can_be_the_training_split() -> None:
    found = _arrange(("cat", "train"), ("cat", "test"), (None, None), (None, None), train_split="none", labels="none")
    assert [(item.label, item.split) for item in found.items] == [(None, "test"), (None, "train"), (None, "train")]
    assert found.class_names == () and found.left_out == {"of other splits": 1}


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        ([("cat", "train")], {}, "release: has no pictures of the split test; is it what its publisher offers"),
        ([("cat", "train"), ("cat", "test")], {"train_split": "none"}, "has no pictures without a split"),
        ([("cat", "train"), (None, "test")], {}, "release: has pictures without a class, such as 0001"),
    ],
)
def test_what_is_not_said_is_missed(items: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _arrange(*items, **options)
