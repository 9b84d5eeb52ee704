"""Columns that a table's file does not have: any data set by its name, the user's own ones first of all.

Such a column is its own stand-in. At every scale it is the set at the resolution that the scale's network makes, and
its counts and shots come from the table's column with the most reference images, as far as the set's images suffice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bench import networks
from bench.data import counting, draw_counts
from bench.data.known import datasets, is_own
from bench.data.own_sets import NAME
from bench.data.places import find
from bench.data.smaller_sets import is_smaller, whole_name
from bench.errors import UserError, did_you_mean
from bench.spec.patch import Patch
from bench.spec.run import DataSpec
from bench.spec.table import TableSpec


def sets_among(table: TableSpec, names: Iterable[str]) -> list[str]:
    """The names that are data sets and no columns of the table.

    A column of the table comes before a set of its name. Raises UserError for a name that is neither.
    """
    columns, sets = {column.id for column in table.columns}, {entry.name for entry in datasets()}
    others = [name for name in dict.fromkeys(names) if name not in columns]
    for name in others:
        if is_smaller(name) and whole_name(name) in datasets():
            datasets().load(name)  # says why there is no such smaller set
        elif name not in sets:
            near = did_you_mean(name, columns | sets)
            known = f"known: {', '.join(sorted(columns))}, and every data set (`bench data list`)"
            hint = near if near.startswith("did you mean") else known
            raise UserError(f"unknown column '{name}' of {table.name}; {hint}")
        if not re.fullmatch(NAME, whole_name(name)):
            raise UserError(f"data set '{name}' cannot be a column: its name has other than a-z, 0-9 and hyphens")
    return others


def shadowed(table: TableSpec, names: Iterable[str]) -> list[str]:
    """Those of the table's own columns among `names` that have the name of a set of the user's, but not its data."""
    return [
        name
        for name in {column.id for column in table.columns if not column.added} & set(names)
        if is_own(name)
        and name not in {data.name for scale in table.scales for data in column_data(table, name, scale)}
    ]


def column_data(table: TableSpec, name: str, scale: str) -> list[DataSpec]:
    """What the trained cells of a column have as data, each once."""
    cells = (table.cell(row, column, scale) for row, column in table.trained_cells(scale) if column.id == name)
    return list(dict.fromkeys(cell.data for cell in cells))


def add_columns(value: dict[str, Any], table: TableSpec, sets: Iterable[str]) -> None:
    """Add data sets as columns to a table's plain data; `table` is the same data, validated.

    Raises UserError for a table without trained columns, of which the settings could be taken.
    """
    for name in sets:
        if not table.columns:
            raise UserError(f"'{name}' cannot be a column of {table.name}, which has none to take the counts from")
        value["columns"] = [*value["columns"], {"id": name, "label": name, "added": True}]
        for scale in table.scales:
            patch = _patch(name, table, scale)
            value["scales"][scale]["columns"] = {**(value["scales"][scale].get("columns") or {}), name: patch}


def _patch(name: str, table: TableSpec, scale: str) -> dict[str, Any]:
    """A set's patch at one scale: that of the table's column with the most reference images, with the set's own data.

    The set is at the resolution that the networks of that column make.
    """
    cells = [(column, table.cell(row, column, scale)) for row, column in table.trained_cells(scale)]
    if not cells:
        raise UserError(f"'{name}' cannot be a column of {table.name}, which trains nothing at scale {scale}")
    like, cell = max(cells, key=lambda pair: pair[1].protocol.reference)
    patch = table.at(scale).columns.get(like.id, Patch()).model_dump(exclude_unset=True, mode="json")
    resolution = networks.resolution(cell.network.name)
    train, test = _counts(name, resolution)
    data = DataSpec.model_validate(
        {"name": name, "resolution": resolution, **_draw(name, resolution, cell.data, train)}
    )
    there = draw_counts.available(cell.protocol.split, data, train, test)
    whole = dict.fromkeys(DataSpec.model_fields)  # nothing of the scale's data or the other column's is left
    return {
        **patch,
        "stand_in": None,
        "data": {**whole, **data.model_dump(exclude_none=True)},
        "generated": cell.protocol.generated,
        "reference": max(1, min(cell.protocol.reference, there)),
    }


def _draw(name: str, resolution: int, like: DataSpec, train: int) -> dict[str, Any]:
    """The draw of another column, as far as any set can have it: not what needs labels, nor more shots than images."""
    draw = like.model_dump(include={"share", "holdout", "labels"}, exclude_none=True)
    if own := find(name, resolution)[0].shots:
        draw = {"shots": own}
    elif like.shots is not None and draw_counts.held_out(like, train) + like.shots <= train:
        draw["shots"] = like.shots
    if like.draw is not None and draw.keys() & {"shots", "share", "holdout"}:
        draw["draw"] = like.draw
    return draw


def _counts(name: str, resolution: int) -> tuple[int, int]:
    """The images for training and for testing, of a set that is not built as far as its entry knows.

    Whether they suffice, and whether it has to be built, is found before a run (bench.plan.preflight).
    """
    with suppress(UserError):  # a damaged folder
        if (built := counting.counts(name, resolution)) is not None:
            return built
    entry, _ = find(name, resolution)
    return entry.train, entry.test
