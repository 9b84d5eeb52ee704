"""Tables of LT-GAN that evaluate finished runs: of which, and with the paper's settings, typed by hand."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table

# measure and its settings at scale paper, and the cell whose runs are evaluated
SIGMAS = {"s10": 0.1, "s30": 0.3, "s50": 0.5, "s70": 0.7, "s90": 0.9, "s150": 1.5}  # declared: the curve is lost
AUXILIARY = {"measure": "auxiliary", "pairs": 25_000}  # section 5, "25K generated samples"
DIVERSITY = {"measure": "diversity", "within": "classes", "images": 10, "worst": 0.1, "net": "alex"}  # all declared
SHEET = {
    **{
        ("lt/fig5", "lt", column): (AUXILIARY | {"sigma": sigma}, ("lt/table1", "lt", "celebahq-sndcgan"))
        for column, sigma in SIGMAS.items()
    },
    **{
        ("lt/aux", row, "accuracy"): (AUXILIARY | {"sigma": 0.5}, (None, row, "celebahq"))
        for row in ("linear", "two-layer", "convolutional")
    },
    **{
        ("lt/fig7", row, column): (DIVERSITY, ("lt/table1", row, column))
        for row in ("base", "lt")
        for column in ("imagenet", "c10-cond")
    },
}
TABLES = sorted({table for table, _, _ in SHEET})


@pytest.mark.parametrize("name", TABLES)
def test_every_evaluated_cell_is_the_sheets(name: str) -> None:
    table = load_table(name)
    shown = {(name, row.id, column.id): (row, column) for row, column in table.shown_cells("paper")}
    evaluated = {cell for cell, place in shown.items() if table.evaluates(*place, "paper")}
    assert evaluated == {cell for cell in SHEET if cell[0] == name}
    for cell in evaluated:
        row, column = shown[cell]
        settings, models = SHEET[cell]
        merged = table.merged(column, "paper", row)
        assert merged.evaluate == settings, cell
        assert merged.of is not None
        assert (merged.of.table, merged.of.row or row.id, merged.of.column or column.id) == models, cell


@pytest.mark.parametrize("name", TABLES)
def test_the_cells_that_are_borrowed_are_there_at_every_scale(name: str) -> None:
    table = load_table(name)
    cells = [(row, column) for _, *ids in SHEET for row in table.rows for column in table.columns
             if [row.id, column.id] == ids]  # fmt: skip
    for scale in table.scales:
        for row, column in cells:
            assert table.behind(row, column, scale) is not None, f"{name} {row.id}/{column.id} at {scale}"


@pytest.mark.parametrize("scale", ["paper", "mini", "smoke"])
def test_equal_evaluations_are_one_task(scale: str) -> None:
    found = {}
    for name in TABLES:
        table = load_table(name)
        for row, column in table.shown_cells(scale):
            found[name, row.id, column.id] = table.shown_spec(row, column, 0, scale).uid
    assert found["lt/aux", "two-layer", "accuracy"] == found["lt/fig5", "lt", "s50"]
