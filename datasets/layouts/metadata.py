"""Labels and attributes of pictures in a table among them: metadata.csv or metadata.jsonl, as Hugging Face has them.

A row names a picture by `file_name`, from where the table lies. A column `label` (or `labels`, `class`, `category`) is
its class; every column whose values are all true or false is an attribute. Other columns are not used.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.data.sources.names import safe_name, shown
from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .side_files import SideFile, read_side_file

NAMES = ("metadata.csv", "metadata.jsonl")
FILE_NAME = "file_name"
LABELS = ("label", "labels", "class", "category")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "-1": False}


@dataclass(frozen=True)
class _Row:
    where: str  # the table and the row's number in it
    name: str
    values: dict[str, str]


def read_metadata(source: Source, items: Sequence[Item]) -> Arranged | None:
    """The pictures that tables among the items name, with their classes and attributes; None without such a table.

    Items that no row names are left out and counted. Raises UserError for a table that cannot be read, for a row that
    names nothing or what is not there, and for labels or attributes that only some rows have.
    """
    tables = {item.name: None for item in items if item.name.rpartition("/")[2].lower() in NAMES}
    rows = [row for name in tables for row in _rows(read_side_file(source, name), name)]
    if not rows:
        return None
    by_name = {item.name: item for item in items if item.name not in tables}
    _check_names(source, rows, set(by_name))

    # Which columns say something; every row must have it.
    columns = list(dict.fromkeys(column for row in rows for column in row.values if column != FILE_NAME))
    label = next((column for column in columns if column.lower() in LABELS), None)
    truths = [column for column in columns if column != label and _is_attribute(rows, column)]
    for column in (*((label,) if label is not None else ()), *truths):
        for row in rows:
            if not row.values.get(column):
                raise UserError(f"{row.where}: has no {shown(column)}, as other rows have")
    pictures = [
        replace(
            by_name[row.name],
            label=row.values[label] if label is not None else None,
            attributes={column: TRUTH[row.values[column].lower()] for column in truths},
        )
        for row in sorted(rows, key=lambda row: row.name)
    ]
    classes = sorted({picture.label for picture in pictures if picture.label}, key=_in_order)
    return Arranged(
        tuple(pictures),
        class_names=tuple(classes) if len(classes) > 1 else (),
        attribute_names=tuple(truths),
        left_out=+Counter({"side files": len(tables), "without a row in the table": len(by_name) - len(pictures)}),
    )


def _in_order(label: str) -> tuple[int, int, str]:
    """Numbers by their value, then words."""
    return (0, int(label), label) if label.isdecimal() and len(label) < 19 else (1, 0, label)


def _is_attribute(rows: Sequence[_Row], column: str) -> bool:
    """Whether all that stands in a column is true or false, and something does."""
    values = {row.values.get(column, "").lower() for row in rows} - {""}
    return bool(values) and values <= TRUTH.keys()


def _check_names(source: Source, rows: Sequence[_Row], names: set[str]) -> None:
    seen: set[str] = set()
    absent = []
    for row in rows:
        if row.name in seen:
            raise UserError(f"{row.where}: names {shown(row.name)}, which an earlier row names too")
        seen.add(row.name)
        if row.name not in names:
            absent.append(row)
    if absent:
        raise UserError(
            f"{absent[0].where}: names {shown(absent[0].name)}, which is not in {source.path}"
            + (f"; {len(absent):,} rows name what is not there" if len(absent) > 1 else "")
        )


def _rows(table: SideFile, name: str) -> list[_Row]:
    """The rows of a table; none of a file of that name that has no column `file_name`."""
    folder = name.rpartition("/")[0]
    found = []
    for number, record in enumerate(_jsonl(table) if name.lower().endswith("l") else _csv(table), 1):
        if FILE_NAME not in record:
            if number == 1:
                return []
            raise UserError(f"{table.where}: row {number} has no {FILE_NAME}")
        picture = safe_name(f"{folder}/{record[FILE_NAME]}" if folder else record[FILE_NAME])
        if picture is None or record[FILE_NAME].startswith(("/", "\\")):
            raise UserError(
                f"{table.where}: row {number} names {shown(record[FILE_NAME])}, which leads out of its folder"
            )
        found.append(_Row(f"{table.where}: row {number}", picture, record))
    return found


def _csv(table: SideFile) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(table.text(), newline=""), strict=True)
        return [{key: (value or "").strip() for key, value in row.items() if key is not None} for row in reader]
    except csv.Error as error:
        raise UserError(f"{table.where}: is no table of comma-separated values ({error})") from error


def _jsonl(table: SideFile) -> list[dict[str, str]]:
    records = []
    for number, line in enumerate(table.lines(), 1):
        try:
            record: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{table.where}: row {number} is no JSON ({error})") from error
        if not isinstance(record, dict):
            raise UserError(f"{table.where}: row {number} is no JSON object")
        # True and 1 become what a CSV would hold; a list or an object is no label and no attribute.
        plain = {key: value for key, value in record.items() if isinstance(value, str | int | bool)}
        records.append({key: str(value).strip() for key, value in plain.items()})
    return records
