"""A column that the user has added is shown as theirs: it moves no claim of the paper and has none of its numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.plan.expand import Table
from bench.report.build import build_report
from bench.report.fold import Asked
from bench.report.heads import column_heads

NAME = "mine"


@pytest.fixture
def with_mine(spec):
    """The table with a column of the user's, on a data set that the catalogue has."""
    value = spec.model_dump(exclude_none=True)
    value["columns"] = [*value["columns"], {"id": NAME, "label": NAME, "added": True}]
    for scale in value["scales"].values():
        data = {"name": "shapes", "resolution": 32, "shots": 100}
        scale["columns"][NAME] = {"data": data, "generated": 2000, "reference": 256}
    return Table.model_validate(value)


@pytest.fixture
def opposite(results, run, frame, snapshots):
    """Results in which the claimed order holds in the table's columns, and its opposite in the user's."""
    runs = [
        run(row, NAME, seed, snapshots((level + seed, 0.5, 0.1), (level + seed, 0.5, 0.1)))
        for row, level in (("scratch", 10.0), ("scratch+disp", 900.0), ("ada", 20.0))
        for seed in range(3)
    ]
    return pd.concat([results, frame(*runs)], ignore_index=True)


def test_claims_are_judged_in_the_tables_own_columns(with_mine, opposite, spec, results):
    before = {claim.id: claim for claim in build_report(spec, "mini", results).claims}
    after = {claim.id: claim for claim in build_report(with_mine, "mini", opposite).claims}
    assert before == after and before["helps"].verdict == "supported"
    assert {one.about for claim in after.values() for one in claim.comparisons} == {"anime", "faces"}


@pytest.mark.parametrize(("columns", "claims"), [([NAME], False), (["anime", NAME], True), (None, True)])
def test_claims_and_printed_numbers_are_shown_beside_a_column_of_the_table_only(with_mine, opposite, columns, claims):
    report = build_report(with_mine, "mini", opposite, Asked(columns=columns))
    assert bool(report.claims) is claims
    assert any(line.startswith("The printed numbers are") for line in report.caption) is claims
    printed = {place[1] for block in report.blocks for place, cell in block.cells.items() if cell.printed is not None}
    assert printed == {"anime", "faces"}


def test_no_number_is_printed_for_it_even_where_the_paper_has_a_column_of_its_name(spec, results):
    """A table without `faces`, and a set `faces` of the user's: the paper's numbers of Faces are not about it."""
    value = spec.model_dump(exclude_none=True)
    value["columns"] = [value["columns"][0], {"id": "faces", "label": "faces", "added": True}]
    value["claims"] = ()
    report = build_report(Table.model_validate(value), "mini", results)
    printed = {place[1] for block in report.blocks for place, cell in block.cells.items() if cell.printed is not None}
    assert printed == {"anime"}


def test_what_it_is_said_to_be(with_mine, spec):
    assert [head.added for head in column_heads(spec, "mini")] == ["", ""]
    assert column_heads(with_mine, "mini")[2].added == (
        "a data set added by --columns, which the paper's claims and printed numbers are not about; the table's "
        "columns have up to 1000 reference images"
    )
    own = with_mine.model_copy(update={"paper": None})
    assert "which the table's claims are not about" in column_heads(own, "mini")[2].added
