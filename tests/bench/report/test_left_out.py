"""Which finished runs a report names as shown nowhere: none that another table shows."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.plan.load import load_table
from bench.report.left_out import of_no_row, of_own_sets
from bench.store.runs import Store


def finished(store, spec):
    folder = store.open(spec)
    folder.finish({"steps": 1, "diverged_at": None, "weights_sha256": None, "seconds": 1.0})
    return spec


def first(name, scale="smoke"):
    table = load_table(name)
    row, column = next(iter(table.trained_cells(scale)))
    return table.run_spec(row, column, 0, scale)


def test_a_run_of_another_table_is_not_left_out(tmp_path):
    store, table = Store(tmp_path), load_table("disp/table1")
    other, mine = load_table("disp/table10"), first("disp/table1")
    shown = {table.run_spec(row, column, 0, "smoke").uid for row, column in table.trained_cells("smoke")}
    runs = [other.run_spec(row, column, 0, "smoke") for row, column in other.trained_cells("smoke")]
    there = next(run for run in runs if run.data == mine.data and run.uid not in shown)
    finished(store, there)
    assert of_no_row(shown, table, "smoke", store, None) == ""
    # The same run with another number of steps is of no table.
    longer = there.train.model_copy(update={"steps": there.train.steps + 1})
    finished(store, there.model_copy(update={"train": longer}))
    assert of_no_row(shown, table, "smoke", store, None).endswith(" (1)")


@pytest.mark.parametrize("record", ["{}", "[]", '{"data": "faces"}', "{"])
def test_a_record_that_is_no_spec_is_named(record, tmp_path):
    store, table = Store(tmp_path), load_table("disp/table1")
    uid = first("disp/table1").uid
    finished(store, first("disp/table1"))
    (tmp_path / uid / "spec.json").write_text(record)
    with pytest.raises(UserError, match=f"{uid}.spec.json"):
        of_own_sets(table, "smoke", store, None)
    with pytest.raises(UserError, match=f"{uid}.spec.json"):
        of_no_row(set(), table, "smoke", store, None)
    assert of_no_row({uid}, table, "smoke", store, None) == "", "a run that is shown is not read once more"
