"""The catalogue and the tables know of each other."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from bench.data.catalogue import read_catalogue
from bench.plan.load import load_table, table_names


def _named_in_tables() -> dict[str, set[str]]:
    """Data set -> the tables that name it, as the data of a column or of a source, at any scale."""
    found: dict[str, set[str]] = defaultdict(set)
    for table in table_names():
        for scale in load_table(table).scales.values():
            for data in [
                part.data for part in (*scale.columns.values(), *scale.sources.values()) if hasattr(part, "data")
            ]:
                found[data.name].add(table)
    return found


def test_every_data_set_of_a_table_lists_the_table() -> None:
    named = _named_in_tables()
    assert {"ffhq", "avatars-critters", "emoji"} <= named.keys()
    entries = read_catalogue()
    missing = {name: sorted(tables - set(entries[name].tables)) for name, tables in named.items()}
    assert {name: tables for name, tables in missing.items() if tables} == {}


def test_a_set_lists_only_tables_that_name_it_or_are_to_come() -> None:
    named, there = _named_in_tables(), set(table_names())
    false = {name: sorted(set(entry.tables) & there - named[name]) for name, entry in read_catalogue().items()}
    assert {name: tables for name, tables in false.items() if tables} == {}


def test_tables_are_those_of_the_papers() -> None:
    counts = {"disp": 13, "dip": 10, "lt": 5, "sle": 8}
    for name, entry in read_catalogue().items():
        assert len(entry.tables) == len(set(entry.tables)), name
        for table in entry.tables:
            paper, number = re.fullmatch(r"(disp|dip|lt|sle)/table(\d+)", table).groups()  # type: ignore[union-attr]
            assert 1 <= int(number) <= counts[paper], f"{name}: {table}"
        assert bool(entry.tables) or entry.embedded, name


@pytest.mark.parametrize("name", sorted(name for name, entry in read_catalogue().items() if not entry.embedded))
def test_a_published_set_says_all_that_is_asked_of_it(name: str) -> None:
    entry = read_catalogue()[name]
    assert entry.licence and entry.source and entry.files and entry.resolutions
    assert entry.homepage is not None and re.match(r"https?://", entry.homepage)
    assert entry.split_rule is not None and re.match(r"(disp|dip|lt|sle) ", entry.split_rule.paper)
    assert all(file.holds and (file.url is None or file.url.startswith("https://")) for file in entry.files)
    assert any(re.search(r"\d", file.holds) for file in entry.files)  # a count
    # Whatever is drawn by our seed is declared as a choice of ours.
    assert entry.split_rule.declared or "our seed" not in entry.split_rule.rule
    assert (entry.train == entry.test) == (entry.options.get("reference") == "all")
    json.dumps(entry.model_dump(mode="json"))


@pytest.mark.parametrize(("name", "released"), [("lsun-bedroom", 3_033_042), ("places2.5k", 5 * 3_068)])
def test_a_set_without_copies_does_not_need_every_picture_of_its_release(name: str, released: int) -> None:
    """Photographs from the web: how many have a copy is not published, and a copy does not count."""
    entry = read_catalogue()[name]
    assert "duplicates" not in entry.options
    assert entry.train + entry.test < 0.95 * released
