"""The papers' printed numbers as plain text: a grid for each table, and what is to be known of single numbers."""

from __future__ import annotations

import pandas as pd

from bench.report.printed import printed_tables, read_marks, read_printed
from bench.spec.table import TableSpec

_MARK_PARTS = ("row", "column", "metric", "mark", "text", "note")


def printed_text(table: str | None = None, *, with_marks: bool = False) -> str:
    """The grid of one table or of all; a dash is the paper's own, `lost` is damaged in the text at hand.

    with_marks: a line for each mark below its grid.
    """
    return "\n\n".join(_grid_text(name, with_marks) for name in ([table] if table else printed_tables()))


def printed_alone(spec: TableSpec, measure: str) -> str:
    """What there is to show of a table that waits for a measure: its title, why it has no runs, and its grid."""
    title = f"{spec.name}: {spec.title}. Waits for the measure '{measure}': the paper's numbers alone."
    grid = printed_text(spec.name, with_marks=True) if spec.paper else f"{spec.name}: no printed numbers"
    return f"{title}\n\n{grid}\n"


def _grid_text(table: str, with_marks: bool) -> str:
    frame, marks = read_printed(table), read_marks(table)
    cells = pd.concat([frame, marks[marks["mark"] == "lost"].assign(text="lost")], ignore_index=True)
    if cells.empty:
        return f"{table}: no printed numbers"
    grid = cells.pivot_table(index="row", columns=["column", "metric"], values="text", aggfunc="first", sort=False)
    # A row that lacks columns, or has lost ones, must not decide their order: the fullest row does.
    cells["size"] = cells.groupby("row")["text"].transform(lambda texts: (texts != "lost").sum())
    fullest = cells.sort_values("size", ascending=False, kind="stable")[["column", "metric"]].drop_duplicates()
    grid = grid[list(fullest.itertuples(index=False, name=None))].fillna("-")
    lines = [table, grid.to_string()]
    if with_marks:
        for row, column, metric, mark, text, note in marks[[*_MARK_PARTS]].itertuples(index=False, name=None):
            lines.append(f"{row} / {column} / {metric}: {': '.join(part for part in (mark, text, note) if part)}")
    return "\n".join(lines)
