"""A figure of pictures in words: what there is, where it is from, what is missing, and its alternative texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.plan.expand import Table
from bench.report.caption import column_sentence, evaluated_words, runs_words
from bench.report.model import ColumnHead, RowHead, TableReport
from bench.report.picture_figure import PictureCell
from bench.spec.table import Scale


def caption(spec: Table, scale: Scale, columns: tuple[ColumnHead, ...], results: pd.DataFrame) -> tuple[str, ...]:
    """The sentences under a figure of pictures."""
    same = [f"The runs are those of {spec.same_as}, under this paper's names."] if spec.same_as is not None else []
    return (
        f"{spec.title}. Scale {scale}. Every cell is a grid of pictures from the record of one evaluation; nothing is "
        "drawn anew, chosen or left out.",
        *same,
        *(column_sentence(column) for column in columns if column.name),
        *evaluated_words(spec, scale),
        runs_words(results),
    )


def shown_cells(report: TableReport) -> Iterator[tuple[RowHead, ColumnHead, PictureCell]]:
    """The cells of the figure that the report shows, row by row."""
    assert report.figure is not None
    for row in report.rows:
        for column in report.columns:
            if (cell := report.figure.cells.get((row.id, column.id))) is not None:
                yield row, column, cell


def told(report: TableReport) -> tuple[str, ...]:
    """Lines on what the figure has: of every grid its size, run, seed, step and file; and what is missing, with why."""
    if report.figure is None:
        return ()
    cells = list(shown_cells(report))
    there = [each for each in cells if each[2].grid is not None]
    missing = [f"{_place(row, column)} ({cell.why})" for row, column, cell in cells if cell.grid is None]
    where = f"the whole figure is {report.figure.file}" if report.figure.file else (
        f"`bench report {report.name} --scale {report.scale} --output DIR` draws the whole figure"
    )  # fmt: skip
    return (
        f"Pictures of seed {report.figure.seed}: {len(there)} of {len(cells)} cells; {where}.",
        *(
            f"{_place(row, column)}: {cell.grid.size}; {cell.source}; {cell.file}"
            for row, column, cell in there
            if cell.grid is not None
        ),
        *([f"No pictures (grey in the figure): {', '.join(missing)}."] if missing else []),
    )


def alternative_text(report: TableReport) -> str:
    """The whole figure for people who do not see it."""
    assert report.figure is not None
    rows, columns = (", ".join(head.label.strip() for head in heads) for heads in (report.rows, report.columns))
    kinds = list(dict.fromkeys(cell.grid.shows for _, _, cell in shown_cells(report) if cell.grid is not None))
    missing = sum(cell.grid is None for _, _, cell in shown_cells(report))
    text = f"{report.title}. Rows: {rows}. Columns: {columns}. In each cell: {'; '.join(kinds) or 'nothing yet'}."
    return text + (f" {missing} cells are grey: they have no pictures." if missing else "")


def index(report: TableReport) -> dict[str, Any]:
    """What is in the figure, for other programs: every cell with its captions, alternative text and origin."""
    assert report.figure is not None
    return {
        "figure": report.name,
        "title": report.title,
        "scale": report.scale,
        "file": report.figure.file,
        "alternative_text": alternative_text(report),
        "caption": [*report.caption],
        "cells": [_indexed(row, column, cell) for row, column, cell in shown_cells(report)],
    }


def _indexed(row: RowHead, column: ColumnHead, cell: PictureCell) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "row": row.id, "row_label": row.label, "column": column.id, "column_label": column.label,
        "evaluation": cell.uid, "run": cell.run, "seed": cell.seed, "step": cell.step, "status": cell.status,
    }  # fmt: skip
    if cell.grid is None:
        return entry | {"missing": cell.why}
    return entry | {
        "file": str(cell.file),
        "rows": [*cell.grid.rows],
        "columns": [*cell.grid.columns],
        "alternative_text": f"{row.label.strip()}, {column.label}: {cell.grid.in_words}",
    }


def _place(row: RowHead, column: ColumnHead) -> str:
    return f"{row.id} · {column.id}"
