"""NAME@N: a set of its own that is the beginning of NAME."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data import counting, imageset
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.data.listing import listed
from bench.data.places import recipe
from bench.data.smaller_sets import smaller, whole_name
from bench.data.verification import list_built, verify
from bench.errors import UserError

BLOCKS = """
import numpy as np

from bench.data.builder import Order, Splits
from bench.data.catalogue import DatasetEntry


def build(order: Order) -> Splits:
    def images(count, first):
        numbers = (first + np.arange(count)).astype(np.uint8)
        return np.broadcast_to(numbers[:, None, None, None], (count, order.resolution, order.resolution, 3)).copy()

    return Splits(train=images(order.entry.train, 0), test=images(order.entry.test, 100), licence_text="MIT")


def entry(any_count):
    return DatasetEntry(
        summary="blocks", builder="bench_plugin_mine:build", licence="MIT", source="this file",
        train=12, test=7, any_count=any_count, known_sha256={8: "0" * 64},
    )


DATASETS = {"blocks": entry(True), "whole-blocks": entry(False)}
"""


@pytest.fixture(autouse=True)
def blocks(load_plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    load_plugin(BLOCKS)


def test_a_smaller_set_is_built_under_its_own_name_and_leaves_the_whole_one_alone():
    small = imageset.load("blocks@9", 8)
    assert (len(small.train), len(small.test)) == (9, 7)  # the test split has no more
    assert counting.counts("blocks@9", 8) == (9, 7)
    assert [(one.name, one.train, one.test, one.problem) for one in list_built()] == [("blocks@9", 9, 7, "")]
    whole = imageset.load("blocks", 8)
    assert np.array_equal(whole.train[:9], small.train) and np.array_equal(whole.test, small.test)
    assert imageset.load("blocks@9", 8).sha256 == small.sha256 != whole.sha256
    # The catalogue's sum is of the whole set: of the smaller one it says nothing.
    assert [verify(name, 8)[-1].verdict for name in ("blocks@9", "blocks")] == ["unknown", "differs"]


def test_the_name_is_known_wherever_names_are_looked_up():
    known = datasets()
    assert "blocks@9" in known
    assert not [name for name in ("block@9", "blocks@12", "blocks@x", "whole-blocks@9") if name in known]
    assert known.entry("blocks@9").target == known.entry("blocks").target
    assert known.load("blocks@9").train == 9
    assert [entry.name for entry in known if "blocks" in entry.name] == ["blocks", "whole-blocks"]
    assert recipe(known.load("blocks@9")) != recipe(known.load("blocks"))
    assert whole_name("blocks@9") == whole_name("blocks") == "blocks"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("blocks@12", "has 12 training and 7 test images; choose fewer than 12, or leave out @12"),
        ("blocks@0", "after the @ stands a number of images, as in blocks@400"),
        ("blocks@012", "after the @ stands a number"),
        ("blocks@", "after the @ stands a number"),
        ("blocks@9@3", "after the @ stands a number"),
        ("blocks@" + "9" * 40, "after the @ stands a number"),
        ("whole-blocks@9", "'whole-blocks' can be built as a whole only; leave out @9"),
        ("blcks@9", "unknown data set 'blcks'; did you mean 'blocks'?"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(name, reason):
    for ask in (datasets().entry, datasets().load, lambda name: imageset.load(name, 8)):
        with pytest.raises(UserError) as refusal:
            ask(name)
        assert reason in str(refusal.value) and "\n" not in str(refusal.value)


def test_those_that_are_built_are_listed():
    imageset.load("blocks@9", 8)
    assert [(one.name, one.state) for one in listed(["blocks"])] == [
        ("blocks", "embedded"),
        ("blocks@9", "embedded, built at 8 px"),
        ("whole-blocks", "embedded"),
    ]


def test_a_split_that_has_fewer_is_taken_whole():
    entry = DatasetEntry(summary="x", builder="x:y", licence="x", source="x", train=20, test=50, any_count=True)
    assert (smaller("x@30", entry).train, smaller("x@30", entry).test) == (20, 30)
    assert smaller("x@30", entry).known_sha256 == {}
