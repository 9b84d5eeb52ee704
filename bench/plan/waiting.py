"""Tables that wait for a measure, and the names of measures and tables in `evaluate` and `of`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import run_measures
from bench.files.yamlfile import Keys
from bench.plan.table_files import resolve_table
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.spec.patch import Patch
from bench.spec.scale import PLACES
from bench.spec.table import TableSpec

Check = tuple[Keys, Callable[[Any], object], Any]


def to_come(table: TableSpec) -> str | None:
    """The measure that a table waits for: one that it names and that this version does not have."""
    measures = (patch.evaluate.get("measure") for _, patch in every_patch(table))
    named = {str(measure) for measure in measures if measure is not None}
    return min(named - {entry.name for entry in run_measures()}, default=None)


def refuse_waiting(table: TableSpec) -> None:
    """Raise UserError for a table that cannot be run, as it waits for a measure."""
    if (name := to_come(table)) is None:
        return
    needs = f"{table.name} needs the measure '{name}' ({MEASURES_TO_COME[name]}), which this version does not have"
    raise UserError(needs + (f"; its printed numbers: bench recorded {table.name}" if table.paper else ""))


def checks(table: TableSpec) -> Iterator[Check]:
    """The places of the names of measures and of evaluated tables, the functions that look them up, and the names."""
    for keys, patch in every_patch(table):
        if patch.evaluate.get("measure") is not None:
            yield (*keys, "evaluate", "measure"), _known_measure, patch.evaluate["measure"]
        if patch.of is not None and patch.of.table is not None:
            yield (*keys, "of"), _known_table, patch.of.table


def _known_table(name: str) -> None:
    if not name.endswith((".yaml", ".yml")):  # a file is looked for where it is read
        resolve_table(name)


def _known_measure(name: Any) -> None:
    known = {*MEASURES_TO_COME, *(entry.name for entry in run_measures())}
    if name not in known:
        raise UserError(f"unknown measure '{name}'; {did_you_mean(str(name), known)}")


def every_patch(table: TableSpec) -> Iterator[tuple[Keys, Patch]]:
    """Every place of a table that may say something of an evaluation."""
    yield (), table.patch
    yield from ((("rows", number), row.patch) for number, row in enumerate(table.rows))
    yield from ((("columns", number), column.patch) for number, column in enumerate(table.columns))
    for scale, settings in table.scales.items():
        yield ("scales", scale), settings
        for place in PLACES:
            for name, patch in getattr(settings, place).items():
                yield ("scales", scale, place, name), patch
