"""Items and members of archives in arrays: what goes in comes out, and millions fit into memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from bench.data.sources.item_table import Chosen, ItemTable, Names
from bench.data.sources.member_table import MemberTable
from bench.data.sources.source import Item

ITEMS = [
    Item("a"),
    Item("b/é.png", "cat", "train", {"hat": True}),
    Item("c", "dog", "test", {"glasses": False, "hat": False}),
    Item("d", "cat"),
]


def test_items_come_out_as_they_went_in() -> None:
    table = ItemTable(ITEMS)
    assert list(table) == ITEMS and [table[row] for row in range(4)] == ITEMS and table[1:3] == ITEMS[1:3]
    assert table[-1] == ITEMS[-1] and [dict(item.attributes) for item in table] == [{}, {"hat": True}, {
        "glasses": False, "hat": False}, {}]  # fmt: skip
    codes, labels = table.labels()
    assert [labels[code] for code in codes] == [None, "cat", "dog", "cat"]
    codes, splits = table.splits()
    assert [splits[code] for code in codes] == [None, "train", "test", None]
    assert table.attribute_names() == ("glasses", "hat")
    rows = np.array([2, 0])
    assert list(Chosen(table, rows)) == [ITEMS[2], ITEMS[0]] and Chosen(table, rows)[:1] == [ITEMS[2]]
    assert list(Names(table, rows)) == ["c", "a"] and Names(table, rows)[1:] == ["a"]
    with pytest.raises(IndexError):
        Chosen(table, rows)[2]
    assert not list(ItemTable())


def test_an_attribute_is_a_column_if_every_item_says_it() -> None:
    table = ItemTable([Item("a", attributes={"x": True}), Item("b", attributes={"x": False, "y": True})])
    assert table.attribute("x").tolist() == [1, 0]
    with pytest.raises(KeyError, match="not every item says whether it has y"):
        table.attribute("y")
    table.append(Item("c"))
    with pytest.raises(KeyError, match="not every item says whether it has x"):
        table.attribute("x")


def test_a_name_that_is_there_twice_is_found() -> None:
    assert ItemTable(ITEMS).first_repeated() is None
    assert ItemTable([*ITEMS, Item("z"), Item("c")]).first_repeated() == "c"


def test_members_are_in_order_and_the_last_of_a_name_counts() -> None:
    table = MemberTable(2)
    for number, name in enumerate(["b", "a/x", "b", "a", "é", "b"]):
        table.append(name, number, -number)
    assert table.complete() == 2
    again: MemberTable = pickle.loads(pickle.dumps(table))
    for one in (table, again):
        assert list(one) == ["a", "a/x", "b", "é"] and len(one) == 4
        assert [one[name] for name in one] == [(3, -3), (1, -1), (5, -5), (4, -4)]
        assert one.column(0).tolist() == [3, 1, 5, 4]
        for name in ("", "aa", "z", "ê"):
            with pytest.raises(KeyError):
                one[name]
    empty = MemberTable(1)
    assert empty.complete() == 0 and list(empty) == []


def test_an_item_and_a_member_cost_little_more_than_their_names() -> None:
    count = 20_000
    tracemalloc.start()
    table = ItemTable(Item(f"{number:040}", f"class {number % 100}", "train") for number in range(count))
    taken = tracemalloc.get_traced_memory()[0] / count
    members = MemberTable(2)
    for number in range(count):
        members.append(f"{number:040}", number, number)
    members.complete()
    both = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    assert len(table) == count and taken < 40 + 8 + 4 + 4 + 15 and both - taken < 40 + 8 + 16 + 15
