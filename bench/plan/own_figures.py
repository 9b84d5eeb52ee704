"""A table's own figures of a run, where its source has its own, or they are those of other steps or of another run.

`--set train.steps=...`, and a table that extends another's, change the steps and keep the figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.plan.expand import Table
from bench.plan.schedule import PlannedRun
from bench.spec.patch import merge_patches
from bench.spec.resources import Resources
from bench.spec.row_column import Column, Row
from bench.spec.run import RunSpec
from bench.spec.source import SourceRun


def figures_of_sources(table: Table, scale: str, runs: Mapping[str, PlannedRun]) -> None:
    """Give the runs that others start from, by uid, what the table says of them where it says something."""
    rows, columns = {row.id: row for row in table.rows}, {column.id: column for column in table.columns}
    for run in runs.values():
        if run.cells and run.cells[0].row in rows:
            cell = run.cells[0]
            _give(run.spec, table, rows[cell.row], columns[cell.column], scale, runs)


def _give(spec: RunSpec, table: Table, row: Row, column: Column, scale: str, runs: Mapping[str, PlannedRun]) -> None:
    given = table.merged(column, scale, row).sources
    for role, source in spec.run_sources.items():
        own = given.get(role)
        if isinstance(own, SourceRun) and own.resources is not None:
            run = runs[source.uid]
            figures = own.resources.model_dump(exclude_none=True)
            run.resources = (run.resources or Resources()).model_copy(update=figures)
            run.own_minutes = own.resources.minutes is not None
    evaluated = spec.evaluated
    behind = table.behind(row, column, scale) if evaluated is not None else None
    if evaluated is not None and behind is not None and isinstance(behind.table, Table):
        _give(evaluated, behind.table, behind.row, behind.column, scale, runs)


def lend_minutes(runs: Mapping[str, PlannedRun]) -> None:
    """Give evaluations without minutes of their own those of the run that they are of, by uid: they take no longer."""
    for run in runs.values():
        own = run.resources or Resources()
        if run.spec.evaluated is not None and own.minutes is None:
            lender = runs[run.spec.evaluated.uid].resources
            if lender is not None and lender.minutes is not None:
                run.resources = own.model_copy(update={"minutes": lender.minutes})


def scale_minutes(table: Table, scale: str, runs: Mapping[str, PlannedRun], lenders: Iterable[Table] = ()) -> None:
    """Scale the minutes of trainings, by uid, by their steps over those that the figure was written for.

    Trainings for which the table that has the figure says no number of steps keep it as it is. lenders: the tables
    whose trainings are among the runs.
    """
    if all(one.written(scale) is one for one in (table, *lenders)):
        return
    for uid, steps in _written_steps(table, scale, runs).items():
        run, own = runs[uid], runs[uid].resources
        if own is None or own.minutes is None:
            continue
        if run.spec.train is not None and run.spec.train.steps != steps:
            run.resources = own.model_copy(update={"minutes": own.minutes * run.spec.train.steps / steps})
            run.scaled = True


def _written_steps(table: Table, scale: str, runs: Mapping[str, PlannedRun]) -> dict[str, int]:
    """uid -> the steps of a training before settings were changed, where the table says it."""
    rows, columns = {row.id: row for row in table.rows}, {column.id: column for column in table.columns}
    found: dict[str, int] = {}
    for run in runs.values():
        if run.cells and run.cells[0].row in rows:
            _note(run.spec, table, rows[run.cells[0].row], columns[run.cells[0].column], scale, found)
    return found


def _note(spec: RunSpec, table: Table, row: Row, column: Column, scale: str, found: dict[str, int]) -> None:
    """Note the written steps of a cell's run, and of the runs that it starts from or evaluates."""
    if (written := table.written(scale)) is not table:
        # The row and the column as they were written, if they were there
        own_row = next((other for other in written.rows if other.id == row.id), row)
        own_column = next((other for other in written.columns if other.id == column.id), column)
        patch = merge_patches(*(patch for _, patch in written.layers(own_column, scale, own_row)))
        if spec.kind == "train" and patch.train is not None and patch.train.steps is not None:
            found.setdefault(spec.uid, patch.train.steps)
        for role, source in spec.run_sources.items():
            if isinstance(given := patch.sources.get(role), SourceRun):
                found.setdefault(source.uid, given.train.steps)
    evaluated = spec.evaluated
    if evaluated is not None and (behind := table.behind(row, column, scale)) is not None:
        assert isinstance(behind.table, Table)
        _note(evaluated, behind.table, behind.row, behind.column, scale, found)
