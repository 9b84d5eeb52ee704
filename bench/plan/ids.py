"""Check that what a table says of its own rows, columns, groups and cells is said of some that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import Keys
from bench.spec.show import COLUMN
from bench.spec.table import TableSpec

Check = tuple[Keys, Callable[[str], object], str]


def checks(table: TableSpec) -> Iterator[Check]:
    """The place of each id in the YAML, the function that looks it up, and the id."""
    rows, columns = [row.id for row in table.rows], [column.id for column in table.columns]
    groups = {row.group for row in table.rows if row.group is not None}
    cell = partial(_cell, rows, columns)
    over_columns = table.curve is not None and table.curve.x == COLUMN
    for number, column in enumerate(table.columns if over_columns else ()):
        yield ("columns", number), partial(_has_x, column.x is not None), column.id
    named = [("rows", number, row.output) for number, row in enumerate(table.rows)]
    named += [("columns", number, column.output) for number, column in enumerate(table.columns)]
    for place, number, output in named:
        if output is not None:
            yield (place, number, "output"), partial(_known, "metric", table.metrics), output
    for number, name in enumerate(table.absent):
        yield ("absent", number), partial(_absent, rows, columns), name
    for scale, settings in table.scales.items():
        for number, name in enumerate(settings.absent):
            yield ("scales", scale, "absent", number), partial(_absent, rows, columns), name
        known = {"columns": ("column", columns), "groups": ("group", groups), "rows": ("row", rows)}
        for place, (label, ids) in known.items():
            for name in getattr(settings, place):
                yield ("scales", scale, place, name), partial(_known, label, ids), name
        for name in settings.cells:
            yield ("scales", scale, "cells", name), cell, name


def _has_x(has: bool, column: str) -> None:
    if not has:
        raise UserError(f"column '{column}' has no place on the axis; give it an x, as show.curve.x is column")


def _known(label: str, ids: Iterable[str], name: str) -> None:
    if name not in set(ids):
        raise UserError(f"unknown {label} '{name}'; {did_you_mean(name, ids)}")


def _cell(rows: list[str], columns: list[str], name: str) -> None:
    row, slash, column = name.partition("/")
    if not slash:
        raise UserError(f"'{name}' is no cell; write row/column")
    _known("row", rows, row)
    _known("column", columns, column)


def _absent(rows: list[str], columns: list[str], name: str) -> None:
    row, slash, column = name.partition("/")
    if not slash or row == column == "*":
        raise UserError(f"'{name}' is no cell that can be absent; write row/column, row/* or */column")
    if row != "*":
        _known("row", rows, row)
    if column != "*":
        _known("column", columns, column)
