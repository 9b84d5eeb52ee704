"""Texts and repeated values in little memory: the same as in a list, at any place."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from bench.files.texts import Coded, Texts

ODD = ["", "a", "é", "日本", "\x00", "a\nb", os.fsdecode(b"\xff\xfe.png"), "\ud800", "z" * 1000, ""]


def test_texts_are_a_list_of_texts() -> None:
    texts = Texts(ODD)
    assert list(texts) == ODD and len(texts) == len(ODD)
    assert [texts[place] for place in range(-len(ODD), len(ODD))] == ODD * 2
    assert texts[2:7] == ODD[2:7] and texts[::-3] == ODD[::-3] and texts[20:] == []
    for place in (len(ODD), -len(ODD) - 1):
        with pytest.raises(IndexError):
            texts[place]
    assert [ODD[place] for place in texts.order()] == sorted(ODD) and texts.order().tolist()[:2] == [0, 9]
    assert list(Texts()) == [] and Texts().order().tolist() == []


def test_coded_values_are_a_list_of_values() -> None:
    values = ["b", None, "a", "b", "", None]
    coded: Coded[str | None] = Coded()
    for value in values:
        coded.append(value)
    assert [coded[place] for place in range(len(coded))] == values
    assert coded.values == ["b", None, "a", ""] and coded.codes().tolist() == [0, 1, 2, 0, 3, 1]


def test_a_text_costs_eight_bytes_beside_its_own() -> None:
    tracemalloc.start()
    texts = Texts(f"train/{number:034}" for number in range(20_000))
    taken = tracemalloc.get_traced_memory()[0] / len(texts)
    tracemalloc.stop()
    assert taken < 40 + 8 + 10  # what an array that grows has to spare
