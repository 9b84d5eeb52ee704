"""The rules by which pictures become training and test, on lists of items."""

from __future__ import annotations

import importlib
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from bench.data.sources.source import Item
from bench.errors import UserError
from bench.seeds import numpy_stream

splits = importlib.import_module("bench.datasets.splits")


def _items(count: int, label: str | None = None, split: str | None = None) -> list[Item]:
    return [Item(f"{label or ''}{split or ''}{number:04}", label, split) for number in range(count)]


def _divide(items: list[Item], *arguments: Any) -> Any:
    """The division with items in place of their places."""
    divided = splits.divide(items, *arguments)
    train, test = ([items[place] for place in part] for part in (divided.train, divided.test))
    return SimpleNamespace(train=train, test=test, unused=divided.unused, overlap=divided.overlap)


def _names(items: list[Item]) -> list[str]:
    return [item.name for item in items]


def test_drawn_by_our_seed_as_sets_have_always_been_drawn() -> None:
    """The order that folder sets were built in before there were rules: a built set's sum depends on it."""
    items = _items(30)
    order = numpy_stream(0, "folder", "split").permutation(30)
    divided = _divide(items, {}, 20, 5, "here")
    assert _names(divided.test) == [f"{place:04}" for place in order[:5]]
    assert _names(divided.train) == [f"{place:04}" for place in order[5:]]
    assert divided == _divide(items, {"split": "random"}, 20, 5, "here") and not divided.overlap


@pytest.mark.parametrize(("found", "share", "held"), [(100, 0.1, 10), (389, 0.1, 39), (160, 0.1, 16), (10, 0.9, 6)])
def test_a_share_is_held_out_and_both_splits_get_their_least(found: int, share: float, held: int) -> None:
    divided = _divide(_items(found), {"test_share": share}, 4, 2, "here")
    assert (len(divided.test), len(divided.train)) == (held, found - held)
    assert set(_names(divided.test)).isdisjoint(_names(divided.train))


@pytest.mark.parametrize(("rule", "expected"), [("first", range(7)), ("last", range(23, 30))])
def test_the_first_or_last_by_name_are_the_test_split(rule: str, expected: range) -> None:
    divided = _divide(_items(30), {"split": rule}, 20, 7, "here")
    assert sorted(_names(divided.test)) == [f"{number:04}" for number in expected]
    assert len(divided.train) == 23 and set(_names(divided.train)).isdisjoint(_names(divided.test))
    assert _names(divided.test) != sorted(_names(divided.test)) and _names(divided.train) != sorted(
        _names(divided.train)
    )


def test_the_publishers_split_is_taken_where_there_is_one() -> None:
    items = _items(6, split="test") + _items(9, split="train")
    for options in ({}, {"split": "publisher"}):
        divided = _divide(items, options, 9, 6, "here")
        assert {item.split for item in divided.test} == {"test"} and len(divided.test) == 6
        assert {item.split for item in divided.train} == {"train"} and len(divided.train) == 9
    assert {item.split for item in _divide(items, {"split": "random"}, 9, 6, "here").test} == {"test", "train"}


def test_one_picture_without_a_split_is_no_reason_to_guess() -> None:
    items = [*_items(3, split="train"), *_items(3, split="test"), Item("z")]
    with pytest.raises(UserError, match="here: 1 pictures are neither in train nor in test, such as z"):
        _divide(items, {"split": "publisher"}, 1, 1, "here")


def test_every_class_has_the_same_number() -> None:
    items = [*_items(9, "arch"), *_items(7, "alley"), *_items(20, "ballroom")]
    rule = {"split": "per-class", "per_class": 4, "test_per_class": 3}
    divided = _divide(items, rule, 12, 9, "here")
    assert Counter(item.label for item in divided.train) == {"alley": 4, "arch": 4, "ballroom": 4}
    assert Counter(item.label for item in divided.test) == {"alley": 3, "arch": 3, "ballroom": 3}
    assert divided.unused == 36 - 21 and set(_names(divided.train)).isdisjoint(_names(divided.test))
    assert divided.train[0].label != divided.train[1].label or divided.train[1].label != divided.train[2].label

    more = _divide([*items, *_items(30, "zoo")], rule, 12, 9, "here")
    assert set(_names(divided.train)) < set(_names(more.train))  # the other classes' pictures are the same
    with pytest.raises(UserError, match="here, class alley: 7 different pictures found, 8 are needed"):
        _divide(items, {**rule, "per_class": 5}, 12, 9, "here")


def test_the_whole_set_is_both() -> None:
    divided = _divide(_items(5, split="train") + _items(5, split="test"), {"reference": "all"}, 10, 10, "here")
    assert divided.overlap and divided.train == divided.test and len(divided.train) == 10
    assert _names(divided.train) != sorted(_names(divided.train))


@pytest.mark.parametrize("options", [{}, {"split": "first"}, {"split": "last"}, {"split": "random"}])
def test_too_few_pictures_are_counted(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="here: 1,234 different pictures found, 1,300 are needed"):
        _divide(_items(1234), options, 1000, 300, "here")


def test_too_few_of_a_split_or_for_the_whole() -> None:
    items = _items(5, split="train") + _items(2, split="test")
    with pytest.raises(UserError, match="here, test: 2 different pictures found, 3 are needed"):
        _divide(items, {}, 5, 3, "here")
    with pytest.raises(UserError, match="here: 7 different pictures found, 8 are needed"):
        _divide(items, {"reference": "all"}, 8, 8, "here")
    with pytest.raises(UserError, match="here: 0 different pictures found, 2 are needed"):
        _divide([], {}, 1, 1, "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "half"}, "split: half is unknown; known are publisher, random, first, last, per-class"),
        ({"reference": "some"}, "reference: some is unknown; known is all"),
        ({"test_share": 1.5}, "test_share is 1.5, must lie between 0 and 1"),
        ({"test_share": "a"}, "test_share is a, must lie between 0 and 1"),
        ({"split": "last", "test_share": 0.1}, "test_share goes with split: random, not with split: last"),
        ({"split": "per-class", "per_class": 5}, "test_per_class is None; split: per-class needs a count"),
        ({"split": "random", "per_class": 5}, "per_class is 5; split: per-class needs a count, others take none"),
    ],
)
def test_options_that_say_no_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        splits.check_options(options, "mine")


def test_options_that_say_a_rule() -> None:
    counts = {"per_class": 5, "test_per_class": 2}
    for rule in splits.RULES:
        splits.check_options({"split": rule, **(counts if rule == "per-class" else {})}, "mine")
    splits.check_options({"test_share": 0.1, "reference": "all", "crop": "center"}, "mine")
