"""Which configurations are rehearsed: those of a list, and every other step that a table trains at scale paper.

rehearsal.yaml has what no table has: stable names, how much of a batch one CPU takes, the state in which a part is
rehearsed, notes. What a table says of its cells (network, method, training) is taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import load_yaml, mistake, validate
from bench.plan.load import load_table
from bench.rehearsal.configurations import Configuration
from bench.rehearsal.from_tables import Place, described, named, trained_steps
from bench.rehearsal.table_rows import row_settings
from bench.spec.run import DataSpec, Frozen

LIST = Path(__file__).with_name("rehearsal.yaml")
# How a step is rehearsed; an unlisted one is as the first of the list with its network and batch.
HOW = ("micro_batch", "rehearsed", "per_gpu", "images", "classes", "source")


class _File(Frozen):
    images_from: DataSpec
    every_table: bool = False  # also rehearse what tables train and the list does not name
    groups: tuple[dict[str, Any], ...]


def load_configurations(path: Path = LIST) -> tuple[DataSpec, list[Configuration]]:
    """The data set whose images are enlarged to paper size, and all configurations of a list.

    Each group of the file has settings that its `configurations` share. A configuration with a `row` has the settings
    of that row of the `table` that it or its group names, in its `column` or the first one in which the row is trained,
    where it gives none of its own. In a list with `every_table`, it gives none, and the steps that are left out follow.
    Raises UserError with file and line.
    """
    file = validate(_File, load_yaml(path), path)
    configurations: dict[str, Configuration] = {}
    keys_of: dict[str, str] = {}  # of a step -> the configuration that has it
    for number, group in enumerate(file.groups):
        shared = {key: value for key, value in group.items() if key != "configurations"}
        own = group.get("configurations")
        if not isinstance(own, list) or not all(isinstance(own_settings, dict) for own_settings in own):
            raise mistake(path, ("groups", number), "configurations must be a list of mappings")
        # The settings of a configuration replace those of its group
        for position, own_settings in enumerate(own):
            keys = ("groups", number, "configurations", position)
            try:
                settings = _with_row({**shared, **own_settings}, every_table=file.every_table)
                one = validate(Configuration, settings, path, keys)
            except UserError as error:
                raise error if str(path) in str(error) else mistake(path, keys, str(error)) from error
            if one.id in configurations:
                raise mistake(path, (*keys, "id"), f"'{one.id}' is given twice")
            if file.every_table and keys_of.setdefault(one.key, one.id) != one.id:
                raise mistake(path, (*keys, "id"), f"'{one.id}' is the step of '{keys_of[one.key]}'; leave it out")
            configurations[one.id] = one
    listed = list(configurations.values())
    return file.images_from, _completed(listed) if file.every_table else listed


def pick(configurations: Sequence[Configuration], ids: Sequence[str]) -> list[Configuration]:
    """The configurations of these ids, or all if there are none; TABLE, TABLE/ROW and TABLE/ROW/COLUMN name them too.

    Raises UserError for an unknown id.
    """
    by_id = {one.id: one for one in configurations}
    chosen: dict[str, Configuration] = {}
    for name in ids:
        found = [by_id[name]] if name in by_id else [one for one in configurations if _has(one, name)]
        if not found:
            rows = sorted({cell.rpartition("/")[0] for one in configurations for cell in one.cells})
            raise UserError(f"unknown configuration '{name}'; {did_you_mean(name, [*by_id, *rows])}")
        chosen |= {one.id: one for one in found}
    return list(chosen.values()) if ids else list(configurations)


def _has(one: Configuration, name: str) -> bool:
    return any(f"{cell}/".startswith(f"{name}/") for cell in one.cells)


def _with_row(settings: dict[str, Any], *, every_table: bool) -> dict[str, Any]:
    """The settings, over those of the table's row that they name.

    Raises UserError for an unknown table or row and, with every_table, for a setting that the table gives.
    """
    named_here = {key: settings[key] for key in ("table", "row", "column") if key in settings}
    own = {key: value for key, value in settings.items() if key not in named_here}
    if "row" not in named_here:
        return own
    if not isinstance(named_here.get("table"), str) or not isinstance(named_here["row"], str):
        raise UserError("row: needs the name of a table (`table`, here or for the whole group) and of a row of it")
    if not isinstance(named_here.get("column", ""), str):
        raise UserError(f"column: '{named_here['column']}' is no column's id")
    of_table = row_settings(load_table(named_here["table"]), named_here["row"], named_here.get("column"))
    if not every_table:
        return {**of_table, **own}
    if given := sorted((own.keys() & of_table.keys()) - {"images"}):
        raise UserError(f"{given[0]}: is that of {named_here['table']} in this list; leave it out")
    return {"tables": (named_here["table"],), **of_table, **own}


def _completed(listed: Sequence[Configuration]) -> list[Configuration]:
    """A list with the cells that its configurations stand for, and the steps that it lacks."""
    steps = trained_steps()
    known = {one.key for one in listed}
    there = [_with_cells(one, steps[one.key]) if one.key in steps else one for one in listed]
    return there + [_unlisted(places, listed) for key, places in steps.items() if key not in known]


def _with_cells(one: Configuration, places: Sequence[Place]) -> Configuration:
    cells = tuple(place.address for place in places)
    return one.model_copy(update={"tables": described(places), "cells": cells})


def _unlisted(places: Sequence[Place], listed: Sequence[Configuration]) -> Configuration:
    """A step that the list has no name for, rehearsed as the first of the list that has its network and batch."""
    first = places[0]
    settings = row_settings(load_table(first.table), first.row, first.column)
    size = (settings["network"]["name"], settings["batch"])
    like = next((one for one in listed if (one.network.name, one.batch) == size), None)
    how: dict[str, Any] = {} if like is None else like.model_dump(include=set(HOW))
    if like is not None:
        # The middle or the end of a training, as there; state, where it has the part
        names = [part.split("(")[0].strip() for part in settings["method"].split("+")]
        how |= {"step": like.step * settings["steps"] // like.steps}
        how |= {"state": {name: state for name, state in like.state.items() if name in names}}
    one = Configuration.model_validate({"id": named(places), "tables": (first.table,), **settings, **how})
    return _with_cells(one, places)
