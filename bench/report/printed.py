"""The papers' printed numbers, as kept in results/recorded/paper: one CSV per table, values as printed."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.paths import recorded_root

HEADER = ("paper", "table", "row", "column", "metric", "value")


def read_printed(table: str | None = None, folder: Path | None = None) -> pd.DataFrame:
    """Every printed number, or those of one table such as "disp/table1" (an empty frame if it has none).

    Columns: paper, table, row, column, metric, value (float) and text (the digits as printed). A dash of the
    paper is an absent line. Raises UserError naming file and line of anything malformed.
    """
    files = sorted((folder or recorded_root() / "paper").glob("*.csv"))
    lines = [line for file in files for line in _read(file)]
    frame = pd.DataFrame(lines, columns=[*HEADER, "text"])
    frame["value"] = frame["value"].astype(float)
    return frame if table is None else frame[frame["table"] == table].reset_index(drop=True)


def printed_texts(table: str, folder: Path | None = None) -> dict[tuple[str, str, str], str]:
    """(row, column, printed metric name) -> the digits as printed, for one table."""
    frame = read_printed(table, folder)
    return dict(zip(zip(frame["row"], frame["column"], frame["metric"]), frame["text"]))


def recorded_csv(table: str | None = None, folder: Path | None = None) -> str:
    """The printed numbers as CSV text with the header paper,table,row,column,metric,value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    frame = read_printed(table, folder)
    writer.writerows(frame[[*HEADER[:-1], "text"]].itertuples(index=False))
    return buffer.getvalue()


def _read(path: Path) -> list[tuple[str | float, ...]]:
    """The lines of one file, checked: header, no empty value, no cell twice, numbers that are finite."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != HEADER:
        raise UserError(f"{path}:1: the header must be {','.join(HEADER)}")
    lines: list[tuple[str | float, ...]] = []
    keys: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(HEADER) or not all(row):
            raise UserError(f"{path}:{number}: needs {len(HEADER)} values, none empty; leave a dash of the paper out")
        *names, text = row
        if tuple(names) in keys:
            raise UserError(f"{path}:{number}: {','.join(names)} is given twice")
        if not names[1].startswith(f"{names[0]}/"):
            raise UserError(f"{path}:{number}: table '{names[1]}' must start with the paper, '{names[0]}/'")
        keys.add(tuple(names))
        lines.append((*names, _number(text, path, number), text))
    return lines


def _number(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{path}:{number}: value '{text}' is not a number")
    return value
