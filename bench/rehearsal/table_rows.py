"""What a table says of a row, as settings of a configuration: the list states nothing that a table has."""

from __future__ import annotations

from typing import Any

from bench.errors import UserError, did_you_mean
from bench.plan.expand import Table
from bench.spec.row_column import Column, Row

SCALE = "paper"
# Settings of a training that a configuration has under its own name, or that no step depends on.
APART = {"steps", "batch", "d_steps", "micro_batch", "log_every"}


def row_settings(table: Table, row: str, column: str | None = None) -> dict[str, Any]:
    """Network, method, training, resolution and images of a row at scale paper, in a column or the first it trains in.

    Raises UserError for an unknown row or column, for a row that is not trained there, and for a table without that
    scale.
    """
    columns = table.pick_columns(None if column is None else [column])
    cells: dict[str, tuple[Row, Column]] = {}
    for known, place in table.built_cells(SCALE):
        if place in columns:
            cells.setdefault(known.id, (known, place))
    if row not in cells:
        where = f" in column '{column}'" if column else ""
        raise UserError(f"row: {table.name} trains no row '{row}'{where}; {did_you_mean(row, cells)}")
    cell = table.cell(*cells[row], SCALE)
    settings = {
        "network": cell.network.model_dump(),
        "method": cell.method,
        "resolution": cell.data.resolution,
        "batch": cell.train.batch,
        "d_steps": cell.train.d_steps,
        "steps": cell.train.steps,
        "train": cell.train.model_dump(exclude_defaults=True, exclude=APART),
    }
    return settings if cell.data.shots is None else {**settings, "images": cell.data.shots}
