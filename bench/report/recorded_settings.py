"""Which recorded runs are those that their table plans today: a run's uid is the hash of its settings."""

from __future__ import annotations

import pandas as pd

from bench.plan.expand import Table
from bench.report.picture_rows import PREFIX, picture_lines, with_pictures
from bench.spec.row_column import Column, Row
from bench.spec.table import Scale


def of_todays_settings(spec: Table, scale: Scale, lines: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """The lines whose runs the table plans for their cell and seed, and remarks on the others, by column.

    lines: of recorded sets, with the name of each line's in `set`. Rows that the table does not have cannot be checked,
    and stay; pictures from elsewhere stay where their protocol is that of today.
    """
    rows = {row.id: row for row in spec.rows if row.printed_only is None}
    columns = {column.id: column for column in spec.columns}
    of_pictures = lines["uid"].astype(str).str.startswith(PREFIX)
    names = sorted(set(lines.loc[of_pictures, "set"]))
    today = {
        str(line["uid"]) for name in names for line in picture_lines(with_pictures(spec, scale, name), scale, name)
    }
    other: dict[tuple[str, str], set[str]] = {}
    unknown: dict[str, set[str]] = {}
    runs = lines[["kind", "row", "column", "seed", "uid"]].drop_duplicates()
    for kind, row, column, seed, uid in runs.itertuples(index=False, name=None):
        if str(uid).startswith(PREFIX):
            is_todays = uid in today
        elif column not in columns or (kind == "train" and row not in rows):
            unknown.setdefault(column, set()).add(row)
            is_todays = True
        else:
            is_todays = uid == _planned(spec, scale, kind, rows.get(row), row, columns[column], int(seed))
        if not is_todays:
            other.setdefault((row, column), set()).add(uid)
    # What is left, and what is said of the rest
    remarks: dict[str, list[str]] = {}
    for (row, column), uids in other.items():
        text = f"Left out, recorded with other settings or versions than the table has today: {row} ({len(uids)} runs)."
        remarks.setdefault(column, []).append(text)
    for column, names_of in unknown.items():
        text = f"No rows of the table, so that their settings are not checked: {', '.join(sorted(names_of))}."
        remarks.setdefault(column, []).append(text)
    return lines[~lines["uid"].isin({uid for uids in other.values() for uid in uids})], remarks


def _planned(spec: Table, scale: Scale, kind: str, row: Row | None, name: str, column: Column, seed: int) -> str | None:
    """The run that the table has in a cell and a seed; None where it has none."""
    if kind == "reference":
        return spec.reference_spec(name, column, seed, scale).uid if name in spec.points(column, scale) else None
    if row is None or not spec.shows(row, column, scale) or not spec.fits(row, scale):
        return None
    return spec.shown_spec(row, column, seed, scale).uid
