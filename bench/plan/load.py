"""Reading a table's YAML: its plain data (bench.plan.table_files), then `--set` overrides, then validation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.yamlfile import load_yaml, mistake, validate
from bench.plan import claim_names
from bench.plan.borrowed import lender_names
from bench.plan.completeness import cell_problem, evaluation_problem
from bench.plan.expand import Table
from bench.plan.fragments import TABLES, with_fragments
from bench.plan.names import names_problem
from bench.plan.overrides import overridden, parse_setting
from bench.plan.set_columns import add_columns, sets_among
from bench.plan.table_files import Plain, plain_table, resolve_table, table_names

PASSED_ON = ("train.", "protocol.")  # settings that are meant for the runs which a table evaluates, too

__all__ = ["TABLES", "load_table", "parse_setting", "read_table", "resolve_table", "table_names"]


def load_table(
    name: str, overrides: dict[str, Any] | None = None, columns: Iterable[str] = (), scale: str | None = None
) -> Table:
    """The table of a name, or of a YAML file of the user's.

    overrides: replace settings in every scale ({"train.steps": 50}): the `--set` of the command line.
    columns: those that are to be there; a data set that is no column of the table becomes one (`--columns`).
    scale: the only one that is used of the table. Where it ships, and is taken as it is, the cells of the other scales
    are not looked through: a plan of all tables at one scale would be at that half of its time.
    Raises UserError naming file, line and key of a mistake, and for a column that is neither.
    """
    if name.endswith((".yaml", ".yml")):
        return read_table(Path(name), Path(name).stem, overrides, columns)
    full = resolve_table(name)
    if not overrides and not columns:
        return _shipped(full) if scale is None else _shipped_at(full, scale)
    return _changed(TABLES / f"{full}.yaml", _shipped(full), overrides or {}, columns)


@cache
def _shipped(full: str) -> Table:
    """A table that ships. It is read once: the tables of a whole plan extend and evaluate each other."""
    return _lent(TABLES / f"{full}.yaml", _alone(full))


@cache
def _shipped_at(full: str, scale: str) -> Table:
    """A table that ships, whose cells are looked through at one scale."""
    return _lent(TABLES / f"{full}.yaml", _alone(full, scale), scale=scale)


@cache
def _alone(full: str, scale: str | None = None) -> Table:
    """A table that ships, without those whose runs it evaluates; scale: whose cells are looked through, None: all."""
    return _complete(TABLES / f"{full}.yaml", _named(full), scale)


@cache
def _named(full: str) -> Table:
    """A table that ships and names nothing that there is not; its cells are not looked through."""
    return _validated(TABLES / f"{full}.yaml", full)


def read_table(path: Path, name: str, overrides: dict[str, Any] | None = None, columns: Iterable[str] = ()) -> Table:
    """The validated table of a file. Raises UserError naming file, line and key, or the override."""
    table = _extending(path, _lent(path, _complete(path, _validated(path, name))))
    return _changed(path, table, overrides or {}, columns) if overrides or columns else table


def _extending(path: Path, table: Table) -> Table:
    """The table of a file that, where it extends one, knows at which scales `resources` are the other's figures."""
    value = with_fragments(load_yaml(path), path)
    if "extends" not in value:
        return table
    other, own = _shipped(resolve_table(str(value["extends"]))), value.get("scales") or {}
    inherited = [scale for scale in table.scales if "resources" not in (own.get(scale) or {}) and scale in other.scales]
    return table.with_written(dict.fromkeys(inherited, other))


def _validated(path: Path, name: str) -> Table:
    """A table without those whose runs it evaluates; its cells are not looked through."""
    table = validate(Table, _plain(path, name), path)
    if problem := names_problem(table):
        raise mistake(path, *problem)
    return table


def _complete(path: Path, table: Table, scale: str | None = None) -> Table:
    """The same table. Raises UserError where a cell lacks a setting, at this scale or at any, or a claim its names."""
    scales = None if scale is None else (scale,)
    if problem := cell_problem(table, scales) or claim_names.problem(table, _other):
        raise mistake(path, *problem)
    return table


def _lent(path: Path, table: Table, overrides: dict[str, Any] | None = None, scale: str | None = None) -> Table:
    """The table with those whose runs it evaluates. Raises UserError for an evaluation that cannot be.

    overrides: what is trained and how it is scored is set for these tables too. scale: the only one that is looked
    through, of these tables too; None: all.
    """
    passed = {key: value for key, value in (overrides or {}).items() if key.startswith(PASSED_ON)}
    names = sorted(lender_names(table))
    table = table.with_lenders({name: _lender(path, name, passed, scale) for name in names})
    if problem := evaluation_problem(table, None if scale is None else (scale,)):
        # What can make one impossible: its own settings, or a training that does not reach the step that it looks at
        about = [key for word in ("steps", "evaluate") for key in overrides or {} if word in key.split(".")]
        set_here = [f"--set {key}={(overrides or {})[key]}" for key in about]
        raise UserError(f"{set_here[-1]}: {problem[1]}") if set_here else mistake(path, *problem)
    return table


def _lender(path: Path, name: str, overrides: dict[str, Any], scale: str | None) -> Table:
    """A table whose runs that of a file evaluates: one that ships, or a file beside it. Its own evaluations are not."""
    if name.endswith((".yaml", ".yml")):
        other = path.parent / name
        table = _complete(other, _validated(other, Path(name).stem))
    else:
        other, table = TABLES / f"{resolve_table(name)}.yaml", _alone(resolve_table(name), scale)
    return _replaced(other, table, overrides, ()) if overrides else table


def _changed(path: Path, table: Table, overrides: dict[str, Any], columns: Iterable[str]) -> Table:
    """The table of a file with the user's settings and columns."""
    return _lent(path, _replaced(path, table, overrides, columns), overrides)


def _replaced(path: Path, table: Table, overrides: dict[str, Any], columns: Iterable[str]) -> Table:
    value, before = _plain(path, table.name), table
    # Settings of columns come last: an added column's counts depend on the others, and can be set themselves.
    settings: dict[str, Any] = {}
    of_columns: dict[str, Any] = {}
    for key, setting in overrides.items():
        (of_columns if key.startswith("columns.") else settings)[key] = setting
    table = overridden(value, table, settings)
    if sets := sets_among(table, columns):
        add_columns(value, table, sets)
        table = Table.model_validate(value)
    table = overridden(value, table, of_columns)
    return table.with_written({scale: before.written(scale) for scale in table.scales})


def _plain(path: Path, name: str) -> Plain:
    return {**plain_table(path), "name": name}


def _other(name: str) -> Table:
    """Another table that a claim names: its rows, columns and scores are wanted, not its cells."""
    return _named(resolve_table(name))
