"""Pictures from elsewhere as rows of a table: kept in recorded sets by `bench evaluate --as SET`, trained by nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.plan.expand import Table
from bench.report.recorded import has_table, load_recorded, recorded_sets
from bench.spec.row_column import Row
from bench.spec.run import DataSpec, Protocol, reference_run

PREFIX = "images-"  # of the ids of such rows' results
WHY = "pictures from elsewhere, scored by bench evaluate"
SHORT = 10  # digits of a digest in an id


def protocol_digest(data: DataSpec, protocol: Protocol) -> str:
    """What scores of pictures depend on beside the pictures: the images and the protocol, not the schedule of runs."""
    canonical = reference_run("floor", data, protocol, 0).canonical()
    return hashlib.sha256(canonical.encode()).hexdigest()[:SHORT]


def with_pictures(spec: Table, scale: str, recorded: str | None = None) -> Table:
    """The table with a row for each that recorded sets have of pictures in it. recorded: of this set alone.

    Raises UserError where two sets have such a row of one name.
    """
    whose: dict[str, str] = {}
    for name, lines in _held(spec, scale, recorded):
        for row in dict.fromkeys(lines.loc[_of_today(spec, scale, lines), "row"]):
            if whose.setdefault(row, name) != name:
                raise UserError(
                    f"recorded sets '{whose[row]}' and '{name}' both have pictures called '{row}' in {spec.name} at "
                    f"scale {scale}; remove one of them, or name the set by --recorded"
                )
    rows = [row for row in whose if row not in {one.id for one in spec.rows}]
    added = [Row.model_construct(id=row, label=row, added=True, control=True, printed_only=WHY) for row in rows]
    lenders = spec._lenders
    return spec.model_copy(update={"rows": (*spec.rows, *added)}).with_lenders(lenders) if added else spec


def is_of_pictures(row: Row) -> bool:
    """Whether a row is one that `with_pictures` has added."""
    return row.added and row.printed_only is not None


def picture_lines(
    spec: Table, scale: str, recorded: str | None = None, seeds: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """The results of the rows that `with_pictures` has added: those under the protocol that their column has today."""
    rows = {row.id for row in spec.rows if is_of_pictures(row)}
    if not rows:
        return []
    return [
        {str(key): value for key, value in line.items()}
        for _, lines in _held(spec, scale, recorded)
        for line in lines[_of_today(spec, scale, lines)].to_dict("records")
        if line["row"] in rows and (seeds is None or line["seed"] in seeds)
    ]


def of_other_protocols(spec: Table, scale: str, recorded: str | None = None) -> list[str]:
    """A note on the pictures of recorded sets that were scored under another protocol than their column has today."""
    columns = [column.id for column in spec.columns]
    rows = {
        f"{row} ({name})": None
        for name, lines in _held(spec, scale, recorded)
        for row in lines.loc[~_of_today(spec, scale, lines) & lines["column"].isin(columns), "row"]
    }
    return [f"Pictures scored under another protocol than the table's, in no cell: {', '.join(rows)}."] if rows else []


def _of_today(spec: Table, scale: str, lines: pd.DataFrame) -> pd.Series[bool]:
    """Which lines of pictures are under the protocol that their column has now."""
    digests = {}
    for column in spec.columns:
        if column.id in spec.scored_columns(scale):
            scored = spec.scored(column, scale)
            digests[column.id] = protocol_digest(scored.data, scored.protocol)
    told = lines["uid"].astype(str).str.rpartition("_")[2].str.partition("-")[0]
    return told == lines["column"].map(digests)


def remarks(results: pd.DataFrame) -> list[str]:
    """What is to be known of the pictures among some results, a line for each row and column."""
    if "remark" not in results:
        return []
    lines = results[results["remark"].notna() & (results["remark"] != "")]
    cells = lines[["row", "column", "seed", "remark"]].drop_duplicates()
    texts = [f"{row} · {column}, seed {seed}: {remark}." for row, column, seed, remark in cells.itertuples(index=False)]
    rows = ", ".join(dict.fromkeys(results.loc[results["uid"].astype(str).str.startswith(PREFIX), "row"]))
    return [*([f"Pictures from elsewhere, trained by nobody here: {rows}."] if rows else []), *texts]


def _held(spec: Table, scale: str, recorded: str | None) -> list[tuple[str, pd.DataFrame]]:
    """The lines of pictures in this table at this scale that the recorded sets have, by set."""
    names = recorded_sets() if recorded is None else [recorded]
    frames = (
        (name, load_recorded(name, spec.name, scale))
        for name in names
        if recorded is not None or has_table(name, spec.name, scale)
    )
    found = ((name, lines[lines["uid"].astype(str).str.startswith(PREFIX)]) for name, lines in frames)
    return [(name, lines) for name, lines in found if len(lines)]
