"""The papers' printed numbers, as kept in results/recorded/paper: one CSV per table, values as printed.

What is to be known of single numbers stands beside them in PAPER-TABLE.marks.csv.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.errors import UserError, did_you_mean
from bench.paths import recorded_root

HEADER = ("paper", "table", "row", "column", "metric", "value")
MARKS_HEADER = ("table", "row", "column", "metric", "mark", "value", "note")
MARKS_SUFFIX = ".marks.csv"
# What a mark says of its cell, and whether it has a value ("needs", "may" have, or "no").
MARKS = {
    "copied": "no",  # taken over from another paper, which the note names
    "own-rerun": "needs",  # a second value in the same cell: the authors' own run of a copied row
    "sd": "needs",  # the printed standard deviation
    "lost": "may",  # damaged in the text at hand, so not among the numbers; a value is what another text suggests
    "contradicts": "no",  # does not bear out a sentence of the paper, which the note paraphrases
    "note": "no",
}


def read_printed(table: str | None = None, folder: Path | None = None) -> pd.DataFrame:
    """Every printed number, or those of one table such as "disp/table1" (an empty frame if it has none).

    Columns: paper, table, row, column, metric, value (float) and text (the digits as printed). A dash of the
    paper is an absent line. Raises UserError naming file and line of anything malformed.
    """
    frame = pd.DataFrame(
        [line for file in _files(table, ".csv", folder) for line in _read(file)], columns=[*HEADER, "text"]
    )
    return frame.astype({"value": float})


def read_marks(table: str | None = None, folder: Path | None = None) -> pd.DataFrame:
    """What is to be known of single printed numbers, of all tables or of one (an empty frame if there is nothing).

    Columns: table, row, column, metric, mark (of MARKS), value (float, NaN without one), note and text (the value's
    digits as printed). A mark is of a printed number, `lost` of one that is not there. Raises UserError naming file
    and line of anything malformed, an unknown mark, and a mark of a cell that the table does not have.
    """
    printed = set(read_printed(table, folder)[[*HEADER[1:-1]]].itertuples(index=False, name=None))
    lines = [line for file in _files(table, MARKS_SUFFIX, folder) for line in _read_marks(file, printed)]
    frame = pd.DataFrame(lines, columns=[*MARKS_HEADER, "text"])
    return frame.astype({"value": float})


def printed_tables(folder: Path | None = None) -> list[str]:
    """Every table, figure or experiment with printed numbers, or with marks alone where all of them are lost."""
    return sorted({*read_printed(folder=folder)["table"], *read_marks(folder=folder)["table"]})


def printed_texts(table: str, folder: Path | None = None) -> dict[tuple[str, str, str], str]:
    """(row, column, printed metric name) -> the digits as printed, for one table."""
    frame = read_printed(table, folder)
    return dict(zip(zip(frame["row"], frame["column"], frame["metric"]), frame["text"]))


def recorded_csv(table: str | None = None, folder: Path | None = None) -> str:
    """The printed numbers as CSV text with the header paper,table,row,column,metric,value."""
    return _csv(HEADER, read_printed(table, folder))


def marks_csv(table: str | None = None, folder: Path | None = None) -> str:
    """The marks as CSV text with the header table,row,column,metric,mark,value,note."""
    return _csv(MARKS_HEADER, read_marks(table, folder))


def _files(table: str | None, suffix: str, folder: Path | None) -> list[Path]:
    """The files of numbers or of marks, of all tables or of one; each is named after its table."""
    folder = folder or recorded_root() / "paper"
    if table is not None:
        file = folder / _file_name(table, suffix)
        return [file] if file.is_file() else []
    return [
        file for file in sorted(folder.glob(f"*{suffix}")) if file.name.endswith(MARKS_SUFFIX) == (suffix != ".csv")
    ]


def _file_name(table: str, suffix: str) -> str:
    return table.replace("/", "-") + suffix


def _csv(header: Sequence[str], frame: pd.DataFrame) -> str:
    """Lines of a frame whose `text` is its value as printed."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(frame[["text" if name == "value" else name for name in header]].itertuples(index=False))
    return buffer.getvalue()


def _lines(path: Path, header: Sequence[str]) -> list[list[str]]:
    """The lines of a CSV file behind its header, which must be this one."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != tuple(header):
        raise UserError(f"{path}:1: the header must be {','.join(header)}")
    return rows[1:]


def _read(path: Path) -> list[tuple[str | float, ...]]:
    """The lines of one file, checked: header, no empty value, no cell twice, numbers that are finite."""
    lines: list[tuple[str | float, ...]] = []
    keys: set[tuple[str, ...]] = set()
    for number, row in enumerate(_lines(path, HEADER), start=2):
        if len(row) != len(HEADER) or not all(row):
            raise UserError(f"{path}:{number}: needs {len(HEADER)} values, none empty; leave a dash of the paper out")
        *names, text = row
        if tuple(names) in keys:
            raise UserError(f"{path}:{number}: {','.join(names)} is given twice")
        if not names[1].startswith(f"{names[0]}/"):
            raise UserError(f"{path}:{number}: table '{names[1]}' must start with the paper, '{names[0]}/'")
        if path.name != _file_name(names[1], ".csv"):
            raise UserError(f"{path}:{number}: table '{names[1]}' is not the one of the file's name")
        keys.add(tuple(names))
        lines.append((*names, _number(text, path, number), text))
    return lines


def _read_marks(path: Path, printed: set[tuple[str, ...]]) -> list[tuple[str | float, ...]]:
    """The lines of one file of marks, checked against the printed cells (table, row, column, metric)."""
    lines: list[tuple[str | float, ...]] = []
    keys: set[tuple[str, ...]] = set()
    for number, row in enumerate(_lines(path, MARKS_HEADER), start=2):
        if len(row) != len(MARKS_HEADER):
            raise UserError(f"{path}:{number}: needs {len(MARKS_HEADER)} values; value or note may be empty")
        *cell, mark, text, note = row
        if problem := _problem_of_mark(path, tuple(cell), mark, text, note, printed):
            raise UserError(f"{path}:{number}: {problem}")
        if (*cell, mark) in keys:
            raise UserError(f"{path}:{number}: {','.join(cell)} is marked '{mark}' twice")
        keys.add((*cell, mark))
        lines.append((*cell, mark, _number(text, path, number) if text else math.nan, note, text))
    return lines


def _problem_of_mark(
    path: Path, cell: tuple[str, ...], mark: str, text: str, note: str, printed: set[tuple[str, ...]]
) -> str | None:
    """What is wrong with one mark; None if nothing is."""
    if mark not in MARKS:
        return f"unknown mark '{mark}'; {did_you_mean(mark, MARKS)}"
    if path.name != _file_name(cell[0], MARKS_SUFFIX):
        return f"table '{cell[0]}' is not the one of the file's name"
    if not all(cell):
        return "table, row, column and metric must not be empty"
    if (mark == "lost") == (cell in printed):
        return f"{','.join(cell)} " + (
            "has a printed number, so it is not lost" if cell in printed else "is not printed"
        )
    if MARKS[mark] == "needs" and not text:
        return f"a mark '{mark}' needs its value"
    if MARKS[mark] == "no" and text:
        return f"a mark '{mark}' has no value, so '{text}' must go"
    if MARKS[mark] != "needs" and not note:
        return f"a mark '{mark}' needs a note"
    return None


def _number(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{path}:{number}: value '{text}' is not a number")
    return value
