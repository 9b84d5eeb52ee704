"""Where the cells of a figure lie on its x axis: at their column's value, or at a setting of theirs."""

from __future__ import annotations

from typing import Any

from bench.errors import UserError
from bench.report.model import CurveAxis
from bench.spec.row_column import Column, Row
from bench.spec.show import COLUMN, STEP
from bench.spec.table import TableSpec


def curve_axis(spec: TableSpec, scale: str) -> CurveAxis | None:
    """The axis of a table that is a figure: steps, its columns' values or a setting; None for any other table.

    A reference point lies where its column does, and a column that the user adds without a value lies nowhere. Raises
    UserError for a cell that has no number where the axis asks for one.
    """
    curve = spec.curve
    if curve is None:
        return None
    if curve.x == STEP:
        return CurveAxis(curve.label or "generator steps", {}, over_steps=True, log=curve.log)
    x = {
        (row.id, column.id): _value(spec, scale, row, column, curve.x)
        for row in spec.rows
        for column in spec.columns
        if not spec.is_absent(row.id, column.id, scale) and row.printed_only is None and not _nowhere(column, curve.x)
    }
    for column in spec.columns:
        at = {value for (_, name), value in x.items() if name == column.id}
        if len(at) == 1:
            x |= {(point, column.id): min(at) for point in spec.references}
    name = "" if curve.x == COLUMN else curve.x.rpartition(".")[2].replace("_", " ")
    return CurveAxis(curve.label or name, x, by_row=curve.panels == "rows", log=curve.log)


def _nowhere(column: Column, axis: str) -> bool:
    return axis == COLUMN and column.added and column.x is None


def _value(spec: TableSpec, scale: str, row: Row, column: Column, axis: str) -> float:
    """A cell's place on the axis."""
    if axis == COLUMN:
        value: Any = column.x
        needs = "needs an x, its place on the figure's axis"
    else:
        value = spec.merged(column, scale, row).said
        for key in axis.split("."):
            value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
        needs = f"has no number at {axis}, the figure's axis"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        where = f"column {column.id}" if axis == COLUMN else f"cell {row.id}/{column.id} at scale {scale}"
        raise UserError(f"{spec.name}: {where} {needs}")
    return float(value)
