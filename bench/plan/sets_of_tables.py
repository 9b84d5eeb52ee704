"""Which tables use a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import get_args

from bench.data.smaller_sets import whole_name
from bench.plan.expand import Table
from bench.plan.load import load_table
from bench.plan.table_files import table_names
from bench.spec.patch import Patch
from bench.spec.source import SourceRun
from bench.spec.table import Scale


def tables_by_set() -> dict[str, list[str]]:
    """Data set -> the shipped tables that use it, by name: as images of a cell or of a source, at any scale.

    A table that evaluates another's runs uses what they do, and the beginning of a set (NAME@N) is of the set.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name in table_names():
        for used in _sets_of(load_table(name)):
            found[whole_name(used)].add(name)
    return {name: sorted(tables) for name, tables in found.items()}


def _sets_of(table: Table) -> Iterator[str]:
    for scale in get_args(Scale):
        if scale not in table.scales:
            continue
        for row in table.rows:
            for column in table.columns:
                if row.printed_only is None and not table.is_absent(row.id, column.id, scale):
                    yield from _sets_of_cell(table, row.id, column.id, scale)


def _sets_of_cell(table: Table, row: str, column: str, scale: str) -> Iterator[str]:
    """The sets of a cell's own settings, or of those that it evaluates the runs of."""
    rows, columns = {one.id: one for one in table.rows}, {one.id: one for one in table.columns}
    if row not in rows or column not in columns:
        return
    merged: Patch = table.merged(columns[column], scale, rows[row])
    if (of := merged.of) is not None:
        lender = table if of.table is None else load_table(of.table)
        yield from _sets_of_cell(lender, of.row or row, of.column or column, scale)
        return
    if merged.data is not None and merged.data.name is not None:
        yield merged.data.name
    yield from (source.data.name for source in merged.sources.values() if isinstance(source, SourceRun))
