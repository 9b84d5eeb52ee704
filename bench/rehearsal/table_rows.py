"""What a table says of a row, as settings of a configuration: the list states nothing that a table has."""

from __future__ import annotations

from typing import Any

from bench.errors import UserError, did_you_mean
from bench.plan.expand import Table
from bench.spec.table import RowOverride

SCALE = "paper"
# Settings of a training that a configuration has under its own name, or that no step depends on.
APART = {"steps", "batch", "d_steps", "micro_batch", "log_every"}


def row_settings(table: Table, row: str) -> dict[str, Any]:
    """Network, method, training, resolution and images of a row at scale paper, in the table's first column.

    Raises UserError for an unknown row, for one that trains no network, and for a table without that scale.
    """
    rows = {known.id: known for known in table.rows if known.method is not None}
    if row not in rows:
        raise UserError(f"row: {table.name} trains no row '{row}'; {did_you_mean(row, rows)}")
    run = table.run_spec(rows[row], table.columns[0], 0, SCALE)
    if run.network is None or run.train is None:
        raise UserError(f"row: '{row}' of {table.name} trains no network")
    settings = {
        "network": run.network.model_dump(),
        "method": table.at(SCALE).rows.get(row, RowOverride()).method or rows[row].method,
        "resolution": run.data.resolution,
        "batch": run.train.batch,
        "d_steps": run.train.d_steps,
        "steps": run.train.steps,
        "train": run.train.model_dump(exclude_defaults=True, exclude=APART),
    }
    return settings if run.data.shots is None else {**settings, "images": run.data.shots}
