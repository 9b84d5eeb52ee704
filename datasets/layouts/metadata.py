"""Labels and attributes of pictures in a table among them: metadata.csv or metadata.jsonl, as Hugging Face has them.

A row names a picture by `file_name`, from where the table lies. A column `label` (or `labels`, `class`, `category`) is
its class; every column whose values are all true or false is an attribute. Other columns are not used.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.data.sources.item_table import ItemTable
from bench.data.sources.names import safe_name, shown
from bench.data.sources.source import Item, Source
from bench.errors import UserError
from bench.files.texts import Coded

from .arrangement import Arranged
from .class_order import in_order
from .side_files import SideFile, read_side_file

NAMES = ("metadata.csv", "metadata.jsonl")
FILE_NAME = "file_name"
LABELS = ("label", "labels", "class", "category")
TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "-1": False}


def is_table(name: str) -> bool:
    """Whether an item of this name is a table."""
    return name.rpartition("/")[2].lower() in NAMES


def read_metadata(
    source: Source, items: Sequence[Item], offered: Sequence[Item], above: Sequence[str] = ()
) -> Arranged | None:
    """The pictures that tables among the items name, with their classes and attributes; None without such a table.

    items: those that are taken, of all that the container has offered, both sorted by name. above: the names of tables
    that lie above the items and are read as well; a row may name what is offered and not taken. Items that no row names
    are left out and counted, as are all tables. Raises UserError for a table that cannot be read, for a row that names
    nothing or what is not there, and for labels or attributes that only some rows have.
    """
    # All tables, a row of theirs after the other.
    items, offered = (some if isinstance(some, ItemTable) else ItemTable(some) for some in (items, offered))
    inside = [name for name in items.names if is_table(name)]
    table = _Table(source, items, offered)
    for name in sorted([*inside, *above]):
        table.read(read_side_file(source, name), name)
    table.refuse_absent()
    if not len(table.pictures):
        return None

    # Which columns say something; every row must have it.
    label = next((column for column in table.columns if column.lower() in LABELS), None)
    truths = [column for column in table.columns if column != label and table.columns[column].is_attribute()]
    for column in (*((label,) if label is not None else ()), *truths):
        table.refuse_without(column)
    labels = table.columns[label].texts if label is not None else None
    told = {column: table.columns[column].texts for column in truths}
    pictures = ItemTable(
        replace(
            items[table.pictures[row]],
            label=labels[row] if labels is not None else None,
            attributes={column: TRUTH[texts[row].lower()] for column, texts in told.items()},
        )
        for row in np.argsort(np.array(table.pictures), kind="stable").tolist()
    )
    classes = in_order(labels.values) if labels is not None else ()
    without = len(items) - len(inside) - len(pictures)
    return Arranged(
        pictures,
        class_names=classes if len(classes) > 1 else (),
        attribute_names=tuple(truths),
        left_out=+Counter({"side files": len(inside) + len(above), "without a row in the table": without}),
    )


class _Column:
    """What a column says in each row that was read; of most columns, such as captions, nothing is kept."""

    def __init__(self, name: str) -> None:
        self._is_label = name.lower() in LABELS
        self._is_truth = True  # as far as was read
        self.texts: Coded[str] = Coded()

    def append(self, text: str, row: int) -> None:
        """The text in a row; the rows before that have none."""
        self._is_truth = self._is_truth and (not text or text.lower() in TRUTH)
        if self._is_label or self._is_truth:
            while len(self.texts) < row:
                self.texts.append("")
            self.texts.append(text)
        else:
            self.texts = Coded()

    def is_attribute(self) -> bool:
        """Whether all that stands in the column is true or false, and something does."""
        return self._is_truth and any(self.texts.values)


class _Table:
    """The rows of all tables: which picture each names, where it stands, and its columns."""

    def __init__(self, source: Source, items: ItemTable, offered: ItemTable) -> None:
        self._source, self._items, self._offered = source, items, offered
        self._named = np.zeros(len(items), bool)
        self._files: Coded[str] = Coded()
        self._numbers = array("q")
        self._absent: list[str] = []  # what rows name that is not there
        self.pictures = array("q")  # the place among the items of what each row names
        self.columns: dict[str, _Column] = {}

    def read(self, table: SideFile, name: str) -> None:
        """Add the rows of a table; none of a file of that name that has no column `file_name`."""
        folder = name.rpartition("/")[0]
        for number, record in enumerate(_jsonl(table) if name.lower().endswith("l") else _csv(table), 1):
            where = f"{table.where}: row {number}"
            if FILE_NAME not in record:
                if number == 1:
                    return
                raise UserError(f"{where} has no {FILE_NAME}")
            text = record.pop(FILE_NAME)
            picture = safe_name(f"{folder}/{text}" if folder else text)
            if picture is None or text.startswith(("/", "\\")):
                raise UserError(f"{where} names {shown(text)}, which leads out of its folder")
            if (place := self._place(picture, where)) is None:
                continue
            row = len(self.pictures)
            self.pictures.append(place)
            self._files.append(table.where)
            self._numbers.append(number)
            for column, value in record.items():
                self.columns.setdefault(column, _Column(column)).append(value, row)

    def refuse_absent(self) -> None:
        """UserError if a row names what is not there."""
        if self._absent:
            more = f"; {len(self._absent):,} rows name what is not there" if len(self._absent) > 1 else ""
            raise UserError(f"{self._absent[0]}, which is not in {self._source.path}{more}")

    def refuse_without(self, column: str) -> None:
        """UserError if a row has nothing in a column."""
        texts = self.columns[column].texts
        empty = [code for code, text in enumerate(texts.values) if not text]
        without = np.flatnonzero(np.isin(texts.codes(), empty))
        row = int(without[0]) if len(without) else len(texts)
        if row < len(self.pictures):
            raise UserError(f"{self._files[row]}: row {self._numbers[row]}: has no {shown(column)}, as other rows have")

    def _place(self, name: str, where: str) -> int | None:
        """The place of the picture that a row names; None for one that is not taken, or not there."""
        place = _find(self._items, name)
        if place is None:
            if _find(self._offered, name) is None:
                self._absent.append(f"{where}: names {shown(name)}")
            return None
        if self._named[place]:
            raise UserError(f"{where}: names {shown(name)}, which an earlier row names too")
        self._named[place] = True
        return place


def _find(items: ItemTable, name: str) -> int | None:
    """The row of the item of this name, unless it is a table or not there."""
    row = bisect_left(items.names, name)
    return row if row < len(items) and items.names[row] == name and not is_table(name) else None


def _csv(table: SideFile) -> Iterator[dict[str, str]]:
    try:
        for row in csv.DictReader(io.StringIO(table.text(), newline=""), strict=True):
            yield {key: (value or "").strip() for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise UserError(f"{table.where}: is no table of comma-separated values ({error})") from error


def _jsonl(table: SideFile) -> Iterator[dict[str, str]]:
    for number, line in enumerate(table.lines(), 1):
        try:
            record: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{table.where}: row {number} is no JSON ({error})") from error
        if not isinstance(record, dict):
            raise UserError(f"{table.where}: row {number} is no JSON object")
        # True and 1 become what a CSV would hold; a list or an object is no label and no attribute.
        plain = {key: value for key, value in record.items() if isinstance(value, str | int | bool)}
        yield {key: str(value).strip() for key, value in plain.items()}
