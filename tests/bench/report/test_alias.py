"""A table that is another one under the names of its own paper: its labels and its own printed numbers."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table, table_names
from bench.plan.waiting import to_come
from bench.report.build import build_report
from bench.report.printed import printed_texts
from bench.report.render import text
from bench.report.render.printed_text import printed_alone
from bench.report.results import load_results

TWINS = [name for name in table_names() if load_table(name).same_as is not None]
READY = [name for name in TWINS if to_come(load_table(name)) is None]


@pytest.mark.parametrize("name", READY)
def test_it_shows_the_numbers_that_are_printed_under_its_own_id(name, tmp_path):
    spec = load_table(name)
    report = build_report(spec, "mini", load_results(spec, "mini", tmp_path))
    own = printed_texts(name)
    shown = {
        (row, column, block.measure.printed_name): cell.printed
        for block in report.blocks
        for (row, column), cell in block.cells.items()
        if cell.printed is not None
    }
    rows, columns = {row.id for row in spec.rows}, {column.id for column in spec.columns}
    scores = {block.measure.printed_name for block in report.blocks}
    assert shown == {key: value for key, value in own.items() if key[2] in scores}
    assert {key[0] for key in own} <= rows | set(spec.references) and {key[1] for key in own} <= columns
    assert report.paper == name.partition("/")[0]
    assert not shown or any(f"[printed in {name}]" in line for line in report.caption)


def test_numbers_that_differ_between_the_papers_are_not_mixed_up():
    differing = [name for name in TWINS if printed_texts(name) != printed_texts(load_table(name).same_as)]
    assert "dip/table5" in differing and "dip/table9" in differing


def test_its_labels_are_those_of_its_paper(tmp_path):
    spec = load_table("dip/table2")
    labels = {row.id: row.label for row in spec.rows}
    others = {row.id: row.label for row in load_table(spec.same_as).rows}
    assert set(labels) <= set(others) and any(labels[row] != others[row] for row in labels)
    page = text.render(build_report(spec, "mini", load_results(spec, "mini", tmp_path)))
    assert page.startswith(f"dip/table2: {spec.title}") and "DIP" in page
    assert "The runs are those of disp/table2, under this paper's names." in page


@pytest.mark.parametrize("name", TWINS)
def test_one_that_waits_for_a_measure_shows_its_own_numbers(name):
    """As each of them would, if its measure were not here."""
    page = printed_alone(load_table(name), to_come(load_table(name)) or "later-measure")
    assert page.startswith(f"{name}: {load_table(name).title}. Waits for the measure")
    assert all(value in page for value in printed_texts(name).values())
