"""Which steps the tables train at scale paper: every cell, put together with those whose step is the same work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from bench.contract.expression import parse_method
from bench.plan.load import load_table, table_names
from bench.rehearsal.table_rows import SCALE
from bench.rehearsal.work import step_key


@dataclass(frozen=True)
class Place:
    """A trained cell of a table."""

    table: str
    row: str
    column: str

    @property
    def address(self) -> str:
        """How a user names it: TABLE/ROW/COLUMN."""
        return f"{self.table}/{self.row}/{self.column}"


@cache
def trained_steps() -> Mapping[str, tuple[Place, ...]]:
    """Every step that a table trains or measures at scale paper, controls among them: key -> cells, table by table."""
    found: dict[str, list[Place]] = {}
    for name in table_names():
        table = load_table(name)
        for row, column in table.built_cells(SCALE) if SCALE in table.scales else ():
            cell = table.cell(row, column, SCALE)
            key = step_key(cell.network, parse_method(cell.method), cell.train)
            found.setdefault(key, []).append(Place(name, row.id, column.id))
    return {key: tuple(places) for key, places in found.items()}


def _columns(table: str, row: str, steps: Mapping[str, Sequence[Place]]) -> int:
    return sum((place.table, place.row) == (table, row) for places in steps.values() for place in places)


def described(places: Sequence[Place]) -> tuple[str, ...]:
    """The cells in words, row by row; with the columns, where others of the row are another step."""
    rows: dict[tuple[str, str], list[str]] = {}
    for place in places:
        rows.setdefault((place.table, place.row), []).append(place.column)
    steps = trained_steps()
    return tuple(
        f"{table} {row}" + (f" ({', '.join(columns)})" if len(columns) < _columns(table, row, steps) else "")
        for (table, row), columns in rows.items()
    )


def named(places: Sequence[Place]) -> str:
    """An id for a step that the list has none for: its first cell, without the column where the row is one step."""
    first = places[0]
    here = sum((place.table, place.row) == (first.table, first.row) for place in places)
    whole = here == _columns(first.table, first.row, trained_steps())
    words = (first.table, first.row) if whole else (first.table, first.row, first.column)
    return "-".join(words).replace("/", "-").lower()
