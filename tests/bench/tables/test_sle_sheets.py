"""At scale paper FastGAN's tables have its settings, cell by cell; the sheets are typed by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.catalogue import read_catalogue
from bench.plan.load import load_table, table_names
from sheets import is_method, of_cell, read_sheet, trainings, typed, unused

SHEETS = {path.stem.replace("-", "/", 1): path for path in sorted((Path(__file__).parent / "sheets").glob("sle-*.txt"))}
OF_IMAGES = sorted(set(SHEETS) - {"sle/table1", "sle/fig1"})  # those of which the best of five trainings is reported


def test_every_table_that_makes_steps_has_a_sheet() -> None:
    tables = [name for name in table_names() if name.startswith("sle/")]
    assert set(SHEETS) == {name for name in tables if any(load_table(name).built_cells("paper"))}


@pytest.mark.parametrize("name", SHEETS)
def test_every_cell_is_the_sheets(name: str) -> None:
    table, sheet = load_table(name), read_sheet(SHEETS[name])
    cells = list(table.built_cells("paper"))
    assert cells and not unused(sheet, [(row.id, column.id) for row, column in cells])
    for row, column in cells:
        said = typed(sheet, row.id, column.id)
        method = said.pop("method")
        assert of_cell(table, row, column) == said, f"{row.id}/{column.id}"
        assert is_method(method, table.run_spec(row, column, 0, "paper")), f"{row.id}/{column.id}: {method}"


@pytest.mark.parametrize("name", OF_IMAGES)
def test_the_best_of_five_trainings_is_reported(name: str) -> None:
    """Section 4: "we train the models 5 times with random seeds, and report the highest scores"."""
    table = load_table(name)
    assert table.best_of == 5
    assert [table.seeds_at(scale) for scale in ("paper", "mini", "smoke")] == [5, 3, 1]
    assert table.snapshot == ("final" if name == "sle/table5" else "best")  # table 5 names its snapshots


# Cells that have a row and a column, and no training: the paper's dashes, and numbers of the DiffAugment paper.
UNTRAINED = {
    "sle/table2": {("sg2", column) for column in ("dog", "cat", "obama", "panda", "grumpy-cat")},
    "sle/table3": {("sg2", "ffhq"), ("sg2-ft", "art"), ("sg2-ft", "ffhq")},
    "sle/table4": {("sg2", f"ffhq-{count}") for count in ("2k", "5k", "10k", "70k")},
    "sle/quarter": {("sg2", "ffhq")},
}


@pytest.mark.parametrize("name", ["table2", "table3", "table4", "table6", "rotation", "losses", "batch16", "quarter"])
def test_what_is_not_trained_is_what_the_paper_leaves_out_or_copies(name: str) -> None:
    table = load_table(f"sle/{name}")
    cells = {(row.id, column.id) for row in table.rows for column in table.columns}
    for scale in table.scales:
        assert cells - set(trainings(table.name, scale)) == UNTRAINED.get(table.name, set())


def test_what_is_trained_on_as_a_whole_has_the_papers_number_of_images() -> None:
    """Heads of tables 2 and 3; the catalogue's count is that of the published set."""
    entries = read_catalogue()
    for name in ("sle/table2", "sle/table3", "sle/table4"):
        for spec in trainings(name).values():
            if spec.data.shots is None:
                assert spec.protocol is not None
                assert entries[spec.data.name].train == spec.protocol.reference


@pytest.mark.parametrize(("cell", "hours", "rate"), [
    ("table2 sg2-ft", 20, 1.8), ("table2 baseline", 5, 0.7), ("table2 skip", 5, 0.85), ("table2 decode", 5, 0.85),
    ("table2 ours", 5, 1), ("table3 sg2", 24, 5), ("table3 sg2-ft", 24, 5), ("table3 baseline", 8, 1.3),
    ("table3 ours", 8, 1.7), ("table4 sg2", 120, 7), ("table4 baseline", 24, 1.3), ("table4 ours", 24, 1.7),
    ("quarter sg2-quarter", 24, 3.6), ("batch16 ae", 24, 2 * 1.7),
])  # fmt: skip
def test_a_run_ends_at_the_first_checkpoint_after_the_papers_hours(cell: str, hours: float, rate: float) -> None:
    """Hours: tables 2 to 4 and section 4.1. Hours for 10,000 steps: table 1."""
    table, row = cell.split()
    specs = trainings(f"sle/{table}").items()
    (steps,) = {spec.train.steps for (own, column), spec in specs if own == row and column != "ffhq-70k" and spec.train}
    assert steps % 10_000 == 0 and steps - 10_000 < 10_000 * hours / rate <= steps
