"""Which tables of DISP and DIP train the same runs, and which do not."""

from __future__ import annotations

import pytest

from bench.plan.load import load_table
from bench.spec.table import SCALES

SAME = [
    # (table, row, column) is the run of (table, row, column), at every scale
    *[
        (("disp/table10", row, f"{column}-h"), ("disp/table1", row, column))
        for row in ("freezed", "freezed+disp", "diffaugment", "diffaugment+disp")
        for column in ("anime", "faces")
    ],
    (("disp/table11", "freezed+disp", "anime"), ("disp/table1", "freezed+disp", "anime")),
    (("disp/table11", "diffaugment+disp", "anime"), ("disp/table1", "diffaugment+disp", "anime")),
    *[
        (("disp/fig3c", row, "n100"), ("disp/table1", row, "anime"))
        for row in ("scratch", "scratch+disp", "freezed", "freezed+disp", "diffaugment", "diffaugment+disp")
    ],
    (("disp/fig1", "baseline", "c100-10"), ("disp/table3", "biggan", "c100-10")),
    (("disp/fig1", "disp", "c100-10"), ("disp/table3", "biggan+disp", "c100-10")),
]


def _uid(table: str, row: str, column: str, scale: str) -> str:
    known = load_table(table)
    rows, columns = {one.id: one for one in known.rows}, {one.id: one for one in known.columns}
    return known.run_spec(rows[row], columns[column], 0, scale).uid


@pytest.mark.parametrize("scale", SCALES)
def test_equal_cells_are_one_training(scale: str) -> None:
    for one, other in SAME:
        assert _uid(*one, scale) == _uid(*other, scale), f"{one} and {other} at {scale}"


def test_columns_of_a_loss_differ_in_the_loss_alone() -> None:
    table = load_table("disp/table10")
    rows, columns = table.rows, {column.id: column for column in table.columns}
    for scale in SCALES:
        for row in rows:
            for column in ("anime", "faces"):
                hinge, *others = (
                    table.run_spec(row, columns[f"{column}-{loss}"], 0, scale) for loss in ("h", "ns", "w")
                )
                for other, loss in zip(others, ("non-saturating", "wasserstein"), strict=True):
                    assert other.train is not None and other.train.loss == loss
                    assert other.model_copy(update={"train": hinge.train}) == hinge
