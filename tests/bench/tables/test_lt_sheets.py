"""At scale paper the tables of LT-GAN have the paper's settings, cell by cell; the sheets are typed by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bench.plan.load import load_table, table_names
from bench.rehearsal.listing import load_configurations
from bench.report.printed import read_printed
from bench.spec.run import RunSpec
from sheets import Line, is_method, of_cell, read_sheet, typed, unused

FOLDER = Path(__file__).parent / "sheets"
SHEETS = {path.stem.replace("-", "/", 1): path for path in sorted(FOLDER.glob("lt-*.txt"))}
IDS = {
    *(f"lt/table{number}" for number in range(1, 6)),
    *(f"lt/fig{number}" for number in (4, 5, 6, 7)),
    *(f"lt/{name}" for name in ("pathlength", "cas", "aux", "batch", "edits", "variance")),
}
PICTURES = {
    "lt/fig7-pictures",
    *(f"lt/fig{number}" for number in (2, 3, 8, 9, 10)),
}  # test_figures_of_pictures.py has them
# The tables that evaluate the runs of others, whose settings test_lt_evaluations.py has; and lt/fig6, whose cells are
# all lt/table1's.
EVALUATED = {"lt/table2", "lt/table3", "lt/table5", "lt/fig5", "lt/fig7", "lt/pathlength", "lt/cas", "lt/edits"}
SAME_AS_TABLE1 = {"lt/fig6", "lt/variance"}


@cache
def _sheet(name: str) -> list[Line]:
    return read_sheet(SHEETS[name])


def _cells(name: str) -> dict[tuple[str, str], RunSpec]:
    table = load_table(name)
    return {
        (row.id, column.id): table.run_spec(row, column, 0, "paper") for row, column in table.trained_cells("paper")
    }


def test_every_id_is_there_and_has_a_sheet_where_it_trains() -> None:
    assert {name for name in table_names() if name.startswith("lt/")} == IDS | PICTURES
    assert set(SHEETS) == IDS - EVALUATED - SAME_AS_TABLE1
    assert all(not _cells(name) for name in EVALUATED)


@pytest.mark.parametrize("name", SHEETS)
def test_every_cell_is_the_sheets(name: str) -> None:
    table = load_table(name)
    cells = list(table.trained_cells("paper"))
    assert cells and not unused(_sheet(name), [(row.id, column.id) for row, column in cells])
    for row, column in cells:
        said = typed(_sheet(name), row.id, column.id)
        method = said.pop("method")
        assert of_cell(table, row, column) == said, f"{row.id}/{column.id}"
        assert is_method(method, table.run_spec(row, column, 0, "paper")), f"{row.id}/{column.id}: {method}"


@pytest.mark.parametrize("name", sorted(IDS))
def test_three_runs_of_which_the_paper_has_the_best(name: str) -> None:
    table = load_table(name)
    assert [table.seeds_at(scale) for scale in ("paper", "mini", "smoke")] == [3, 3, 1]
    assert table.snapshot == ("final" if name == "lt/cas" else "best")  # whose classifiers see the last weights
    assert table.best_of == (1 if name in EVALUATED - {"lt/table5"} else 3)


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_printed_number_has_a_row_and_a_column(name: str) -> None:
    table, printed = load_table(name), read_printed(name)
    assert set(printed["row"]) <= {row.id for row in table.rows}
    assert set(printed["column"]) <= {column.id for column in table.columns}
    cells = zip(printed["row"], printed["column"], strict=True)
    assert all(not table.is_absent(str(row), str(column)) for row, column in cells)


def test_what_a_sheet_has_no_field_for() -> None:
    """BigGAN-PyTorch's epsilon on ImageNet alone; G's batch in the two rows that double it."""
    for name in SHEETS:
        for (row, column), run in _cells(name).items():
            assert run.train is not None
            assert run.train.adam_eps == (1e-6 if column == "imagenet" else None)
            assert run.train.g_batch == (128 if row in ("base-2z", "lt-2z") else None)


def test_absent_cells_are_those_of_the_paper() -> None:
    absent = {"cr/celebahq-stylegan", "cr+lt/celebahq-stylegan", "cr/imagenet", "cr+lt/imagenet"}
    trained = {"/".join(cell) for cell in _cells("lt/table1")}
    rows, columns = (
        {item.id for item in items} for items in (load_table("lt/table1").rows, load_table("lt/table1").columns)
    )
    assert trained == {f"{row}/{column}" for row in rows for column in columns} - absent and len(trained) == 16


# ---- what is rehearsed -----------------------------------------------------------------------------------------------

OF_A_STEP = ("batch", "d_steps", "g_lr", "d_lr", "beta1", "beta2", "adam_eps", "loss")


def _step(run: RunSpec, batch: int) -> tuple[object, ...]:
    """What one step computes, but for the number of images at once."""
    assert run.network is not None and run.train is not None
    train = {**{key: getattr(run.train, key) for key in OF_A_STEP}, "batch": batch}
    parts = [part for part in run.method if part.name != "unconditional"]  # which adds nothing; the list has no part
    return (str(parts), run.network.name, str(sorted(run.network.options.items())), str(train))


def test_what_is_trained_is_what_is_rehearsed() -> None:
    """The others are further values of settings, and a doubled batch of G, on the same networks and passes."""
    _, listed = load_configurations()
    rehearsed = {_step(one.run_spec(), one.batch): one.id for one in listed if one.id.startswith("lt-")}
    runs = [run for name in ("lt/table1", "lt/table4", "lt/aux") for run in _cells(name).values()]
    trained = {_step(run, run.train.batch) for run in runs if run.train is not None}
    assert set(rehearsed) == trained and len(trained) == 23
