"""The papers' claims name what their tables have, one place only, each once."""

import re

import pytest

from bench.errors import UserError
from bench.plan import claims
from bench.plan.claim_names import claim_problem
from bench.plan.claims import claim_papers, claims_of, every_claim, told_with
from bench.plan.load import TABLES, load_table, table_names
from bench.report.claims.known import KnownTables
from bench.report.printed import read_printed
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.spec.relation import Trend


def test_all_145_claims_are_there():
    found = [claim for _, claim in every_claim()]
    counts = {paper: sum(claim.id.startswith(f"{paper}.") for claim in found) for paper in claim_papers()}
    assert counts == {"disp": 57, "dip": 13, "lt": 33, "sle": 42}
    assert all(claim.place and claim.text.endswith(".") for claim in found)


def test_claims_name_rows_columns_and_scores_that_their_tables_have():
    """Of a table that is not there yet, those of its printed numbers."""
    names = table_names()
    problems = []
    for home, claim in every_claim():
        if claim.waits_for is None:
            problems += [claim_problem(claim, home, lambda name: load_table(name) if name in names else None)]
        for table, cell, _ in claim.cells(home):
            printed = read_printed(table)
            if table not in names and "/table" in table and cell.row != "memorised":
                problems += [] if cell.row in set(printed["row"]) else [f"{claim.id}: {table} prints no row {cell.row}"]
    assert [problem for problem in problems if problem] == []


def test_a_claim_of_a_table_that_is_not_there_waits_for_a_measure():
    names = set(table_names())
    lacking = {claim.id for home, claim in every_claim() for table, *_ in claim.cells(home) if table not in names}
    assert lacking == {claim.id for _, claim in every_claim() if claim.id in lacking and claim.waits_for}


def test_a_table_that_is_another_has_its_claims_too():
    assert told_with(load_table("dip/table2")) == claims_of("disp/table2")
    assert {claim.id for claim in told_with(load_table("dip/fig2"))} > {claim.id for claim in claims_of("dip/fig2")}


def test_the_columns_of_trends_have_their_x():
    known = KnownTables()
    trends = [
        (home, relation) for home, claim in every_claim() for relation in claim.all_of if isinstance(relation, Trend)
    ]
    assert {home for home, _ in trends} == {"disp/fig3c", "disp/table5"}
    for home, relation in trends:
        x = [known.x(home, column) for column in relation.columns or known.columns(home)]
        assert None not in x and x == sorted(set(x)) and len(x) > 3


def test_a_claim_waits_for_a_measure_that_is_to_come():
    waiting = {claim.waits_for for _, claim in every_claim() if claim.waits_for}
    assert waiting <= set(MEASURES_TO_COME)


def test_a_shipped_table_has_the_claims_of_its_paper_and_none_in_its_file():
    assert told_with(load_table("dip/table1")) == claims_of("dip/table1") != ()
    assert claims_of("nobody/table1") == ()
    assert [path for path in TABLES.glob("*/*.yaml") if re.search(r"^claims:\s*$", path.read_text(), re.M)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "t/one: [{id: t.a, text: A., order: [a, b], metric: fd}, {id: t.a, text: A., order: [a, b], metric: fd}]",
            "twice",
        ),
        ("t/one: [{id: a, text: A., order: [a, b], metric: fd}]", "must begin with 't.'"),
        ("t/one: [{id: t.a, text: A., order: [a, b]}]", "names no metric"),
        ("u/one: [{id: t.a, text: A., order: [a, b], metric: fd}]", "must be a table of t"),
        ("t/one: [{id: t.a, text: A., ordr: [a, b], metric: fd}]", "did you mean 'order'?"),
        ("t/one: [{id: t.a, text: A., order: [a, {row: b, colum: c}], metric: fd}]", "did you mean 'column'?"),
    ],
)
def test_mistakes_name_file_and_line(text, message, tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text(f"# claims\n{text}\n")
    monkeypatch.setattr(claims, "CLAIMS", tmp_path)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        claims_of("t/one")
    assert str(caught.value).startswith(f"{tmp_path / 't.yaml'}:2: ") and "\n" not in str(caught.value)
