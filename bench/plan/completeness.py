"""Check that the settings of every trained cell are all there and go together."""

from __future__ import annotations

from collections.abc import Collection

from bench.errors import UserError
from bench.evaluate.registry import run_measure
from bench.files.yamlfile import Keys
from bench.plan.expand import Table, UnknownOutput
from bench.plan.waiting import to_come
from bench.spec.cell import Unfinished
from bench.spec.measures_to_come import MEASURES_TO_COME
from bench.spec.row_column import Column, Row
from bench.spec.table import Scale, TableSpec


def cell_problem(table: TableSpec, scales: Collection[str] | None = None) -> tuple[Keys, str] | None:
    """The place of what the first impossible cell lacks, with the message for the user; None if all are complete.

    scales: those that are looked at; None: every one. Rows that the user has added are looked at when they are planned.
    """
    for scale in _among(table, scales):
        for row, column in table.trained_cells(scale):
            if table.merged(column, scale, row).evaluate.get("measure") in MEASURES_TO_COME:
                continue  # what such a measure needs of a run is not known yet
            try:
                table.cell(row, column, scale)
            except Unfinished as problem:
                return _place(table, problem, column, scale, row), _text(table, problem, column, scale, row)
        for column in table.columns if table.references else ():
            try:
                table.scored(column, scale)
            except Unfinished as problem:
                text = f"{problem}, or leave out the reference points"
                return _place(table, problem, column, scale), text
    return None


def evaluation_problem(table: Table, scales: Collection[str] | None = None) -> tuple[Keys, str] | None:
    """The place of what the first impossible evaluation lacks, with the message for the user; None if all can be.

    scales: those that are looked at; None: every one. The measures that are to come are not looked at.
    """
    if table.pictures is not None and table.metrics:
        return ("metrics",), "a figure of pictures shows no numbers; write metrics: []"
    if to_come(table) is not None:
        return None
    places = ((scale, row, column) for scale in _among(table, scales) for row in table.rows for column in table.columns)
    problems = (_shown_problem(table, row, column, scale) for scale, row, column in places)
    return next((problem for problem in problems if problem is not None), None)


def _among(table: TableSpec, scales: Collection[str] | None) -> list[Scale]:
    return [scale for scale in table.scales if scales is None or scale in scales]


def _shown_problem(table: Table, row: Row, column: Column, scale: str) -> tuple[Keys, str] | None:
    """What is wrong with a cell that evaluates, or that shows one number of several."""
    where, evaluates = f"cell {row.id}/{column.id} at scale {scale}", table.evaluates(row, column, scale)
    if (why := _picture_problem(table, row, column, scale)) is not None:
        return table.place(("evaluate",), column, scale, row), f"{where}: {why}"
    borrows = table.merged(column, scale, row).of is not None
    if not evaluates and borrows:
        text = f"{where} names whose runs are evaluated, but no measure; give evaluate: {{measure: ...}}"
        return table.place(("of",), column, scale, row), text
    if not evaluates and row.output is None and column.output is None:
        return None
    try:
        if table.shows(row, column, scale):
            table.gives(row, column, scale)
    except Unfinished as problem:
        return _place(table, problem, column, scale, row), str(problem)
    except UnknownOutput as problem:
        if row.output is not None:
            place: Keys = ("rows", [own.id for own in table.rows].index(row.id), "output")
        else:
            place = ("columns", [own.id for own in table.columns].index(column.id), "output")
        return place, f"{where}: {problem}"
    except UserError as problem:
        return table.place(("evaluate",), column, scale, row), f"{where}: {problem}"
    return None


def _picture_problem(table: TableSpec, row: Row, column: Column, scale: str) -> str | None:
    """Why what a cell shows is no picture in a figure of pictures, or has no number in another table; None if it is."""
    name = table.merged(column, scale, row).evaluate.get("measure")
    if name is None:
        if table.pictures is None or not table.trains(row, column, scale):
            return None
        return "a figure of pictures evaluates runs; give evaluate: {measure: ...} that gives pictures"
    card = run_measure(name)
    if table.pictures is not None and not card.pictures:
        return f"measure '{name}' gives no pictures, and this is a figure of pictures"
    if table.pictures is None and card.pictures and not card.outputs:
        return f"measure '{name}' gives pictures and no numbers; write show: {{pictures: {{}}}} and metrics: []"
    return None


def _text(table: TableSpec, problem: Unfinished, column: Column, scale: str, row: Row) -> str:
    """What is wrong; of which cell, unless one place alone has it wrong."""
    places = table.giving(problem.keys, column, scale, row)
    if problem.missing:
        return str(problem)
    return problem.rule if len(places) == 1 else f"{problem.rule} (in cell {row.id}/{column.id})"


def _place(table: TableSpec, problem: Unfinished, column: Column, scale: str, row: Row | None = None) -> Keys:
    """Where the setting that is wrong stands, or where the rest of what is missing does."""
    keys = problem.keys[:-1] if problem.missing else problem.keys
    return (*table.place(keys, column, scale, row), *problem.keys[len(keys) :])
