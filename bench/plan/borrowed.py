"""Cells that show an evaluation: which measure, of whose runs, against which images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.evaluate.registry import parse_measure
from bench.plan.waiting import every_patch
from bench.spec.cell import Scored, Unfinished, scored
from bench.spec.patch import COUNTS, Patch, merge_patches
from bench.spec.row_column import Column, Row
from bench.spec.run import MeasureSpec, RunSpec
from bench.spec.table import TableSpec

OF_SCORES = ("protocol", *COUNTS)  # the keys of a patch that say how images are scored


@dataclass(frozen=True)
class Lent:
    """The trained cell whose runs are evaluated: of another table, or of one's own.

    sampling: how the cell that was named has them sampled: the trained one, or one that evaluates it again.
    """

    table: TableSpec
    row: Row
    column: Column
    sampling: str | None = None


def lender_names(table: TableSpec) -> set[str]:
    """The tables whose runs the cells of a table evaluate, as its `of` keys name them."""
    return {patch.of.table for _, patch in every_patch(table) if patch.of is not None and patch.of.table is not None}


def lent(table: TableSpec, lenders: Mapping[str, TableSpec], row: Row, column: Column, scale: str) -> Lent | None:
    """Whose runs a cell with `of` evaluates; None for a cell that the lender leaves out or only prints.

    A cell of another table may be borrowed there, from that table's own rows: they are these runs, sampled as it says.
    Raises Unfinished where there is no such row, column or scale, and where the lender's cell is of a third table, or
    this table's own and borrowed.
    """
    of = table.merged(column, scale, row).of
    assert of is not None
    where = f"{table.name} at scale {scale}: cell {row.id}/{column.id}"
    lender = table if of.table is None else lenders[of.table]
    if scale not in lender.scales:
        raise Unfinished(("of",), where, f"{lender.name} has no scale '{scale}'")
    # The row and the column of the other table, by default of the same ids
    rows, columns = {own.id: own for own in lender.rows}, {own.id: own for own in lender.columns}
    wanted = {"row": of.row or row.id, "column": of.column or column.id}
    for kind, known in (("row", rows), ("column", columns)):
        if wanted[kind] not in known:
            text = f"unknown {kind} '{wanted[kind]}' of {lender.name}; {did_you_mean(wanted[kind], known)}"
            raise Unfinished(("of", kind), where, text)
    named = rows[wanted["row"]], columns[wanted["column"]]
    merged = lender.merged(named[1], scale, named[0])
    found = Lent(lender, *named, merged.evaluate.get("sampling"))
    if lender.trains(found.row, found.column, scale):
        return found
    if lender is not table and (again := merged.of) is not None and again.table is None:
        one, other = rows.get(again.row or named[0].id), columns.get(again.column or named[1].id)
        if one is not None and other is not None and lender.trains(one, other, scale):
            return replace(found, row=one, column=other)
    if merged.of is not None:
        text = f"{lender.name} borrows {found.row.id}/{found.column.id} itself; name the table that trains it"
        raise Unfinished(("of",), where, text)
    return None


def scored_with(own: Patch, lender: Patch, where: str) -> Scored:
    """The images of a borrowed run, and the lender's protocol and counts under the keys of one's own."""
    theirs, ours = _only(lender, "data", "stand_in", *OF_SCORES), _only(own, *OF_SCORES)
    return scored(merge_patches(theirs, ours), where)


def _only(patch: Patch, *keys: str) -> Patch:
    return Patch().model_copy(update={key: getattr(patch, key) for key in keys})


def refuse_unkept(measure: MeasureSpec, run: RunSpec) -> None:
    """Raise UserError for a measure of a step whose weights the run does not keep."""
    step = measure.settings.get("snapshot")
    if not isinstance(step, int) or step == 0 or run.train is None or step == run.train.steps:
        return
    kept = run.protocol.keep if run.protocol is not None and run.protocol.keep is not None else ()
    if step not in kept:
        own = f"it keeps {', '.join(map(str, (*kept, run.train.steps)))}"
        hint = "" if step > run.train.steps else f"; give protocol: {{keep: [{step}]}} where it is trained"
        raise UserError(f"snapshot: the run does not keep step {step}, {own} and 0{hint}")


def measure_of(table: TableSpec, own: Patch, sampling: str | None) -> MeasureSpec:
    """The measure of a cell with all its settings; how the run is sampled is by default `sampling`, the lender's.

    Raises UserError for an unknown measure or setting, and for a value that a setting cannot have.
    """
    settings: dict[str, Any] = {key: value for key, value in own.evaluate.items() if value is not None}
    if sampling is not None and "sampling" not in own.evaluate:
        settings["sampling"] = sampling
    return parse_measure(settings, table.snapshot)
