"""The catalogue and the tables know of each other."""

from __future__ import annotations

import json
import re

import pytest

from bench.data.catalogue import read_catalogue
from bench.plan.sets_of_tables import tables_by_set


def test_every_data_set_of_a_table_is_in_the_catalogue() -> None:
    assert set(tables_by_set()) <= set(read_catalogue())


def test_every_set_of_a_publisher_is_used_by_a_table() -> None:
    assert {name for name, entry in read_catalogue().items() if not entry.embedded} <= set(tables_by_set())


def test_sets_are_named_by_columns_by_sources_and_by_whose_runs_are_evaluated() -> None:
    tables = tables_by_set()
    assert {"disp/table1", "dip/table1"} <= set(tables["ffhq"]) and "disp/table1" not in tables["digits"]
    assert {"disp/table1", "dip/table1"} <= set(tables["emoji"])  # a source's at the small scales


def test_figures_and_experiments_in_prose_are_named_too() -> None:
    others = {
        "disp/fig1", "disp/fig3c", "disp/probe", "disp/corruption", "lt/fig4", "lt/fig5", "lt/fig6", "lt/aux",
        "lt/batch", "lt/pathlength", "lt/cas", "sle/fig8", "sle/rotation", "sle/losses", "sle/batch16", "sle/quarter",
    }  # fmt: skip
    tables, entries = tables_by_set(), read_catalogue()
    for embedded in (True, False):  # the papers' sets, and what stands in for them
        named = {table for name, users in tables.items() if entries[name].embedded == embedded for table in users}
        assert others <= named, sorted(others - named)


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
