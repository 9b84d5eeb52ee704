"""One parquet file: its columns, its row groups, how many rows are decoded together, and the classes of its rows."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from bench.data.sources.parquet_columns import Columns, columns_of
from bench.errors import UserError
from bench.files.inert_pickle import Damaged
from bench.files.parquet_pages import pages

LIMITS = {"thrift_string_size_limit": 2**26, "thrift_container_size_limit": 2**22}  # of a file's description
MOST_PAGE = 2**30  # bytes of a page, which is unpacked as a whole; pages are mostly of one megabyte
TOGETHER = 2**26  # bytes that the rows decoded together may take: none of them is larger than a page
MOST_ROWS, MOST_LABELS = 256, 2**14  # that are decoded together
MOST_LETTERS = 1000  # of a class's name: a short file can give each of its rows a name of a gigabyte


@dataclass(frozen=True)
class ParquetFile:
    """What is known of a file before its pictures are read."""

    path: Path
    columns: Columns
    starts: tuple[int, ...]  # the first row of each row group, and behind them the number of all rows
    rows_together: int
    labels_together: int

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.starts[-1]

    def group_of(self, row: int) -> int:
        """The number of the row group that a row is in."""
        return bisect_right(self.starts, row) - 1

    def pictures(self, group: int) -> Iterator[Any]:
        """The pictures of a row group as arrays of pyarrow's, some rows at a time."""
        batches = opened(self.path).iter_batches(
            self.rows_together, row_groups=[group], columns=[self.columns.path], use_threads=False
        )
        for batch in batches:
            yield batch.column(0).field("bytes") if self.columns.in_struct else batch.column(0)

    def labels(self) -> Iterator[tuple[str | None, dict[str, bool]]]:
        """Class and attributes of each row. Only these columns are read."""
        if not self.columns.of_labels:
            yield from ((None, {}) for _ in range(self.count))
            return
        for batch in opened(self.path).iter_batches(
            self.labels_together, columns=list(self.columns.of_labels), use_threads=False
        ):
            for row in batch.to_pylist():
                attributes = {name: row[name] for name in self.columns.attributes}
                if None in attributes.values():
                    name = next(name for name, value in attributes.items() if value is None)
                    raise UserError(f"{self.path}: column '{name}' has rows that say neither true nor false")
                yield self._class(row[self.columns.label] if self.columns.label else None), attributes

    def _class(self, label: Any) -> str | None:
        classes = self.columns.classes
        if label is None or (classes and label == -1):  # -1: how a hub says that there is none
            return None
        if not classes:
            if isinstance(label, str) and len(label) > MOST_LETTERS:
                raise UserError(
                    f"{self.path}: column '{self.columns.label}' has a class of {len(label):,} letters; at most "
                    f"{MOST_LETTERS:,} are read"
                )
            return sys.intern(str(label))  # millions of rows have few classes
        if not 0 <= label < len(classes):
            raise UserError(
                f"{self.path}: column '{self.columns.label}' has {label}, but {len(classes)} classes have names"
            )
        return classes[label]


def opened(path: Path) -> Any:
    """The file as pyarrow reads it. UserError where pyarrow is not installed."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            f"{path}: parquet is read by pyarrow, which is not installed: pip install 'lowdata-gan-bench[formats]'"
        ) from error
    # Not mapped: a file that becomes shorter would end the process.
    return parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=2**20, **LIMITS)


def described(path: Path) -> ParquetFile:
    """A file by its description and the headers of its pages.

    Raises UserError for a page that is too large and for columns that are not plain, and nearly anything for damage.
    """
    file = opened(path)
    columns = columns_of(file.schema_arrow, str(path))
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    if min(rows, default=0) < 0 or sum(rows) != file.metadata.num_rows or sum(rows) > path.stat().st_size:
        raise Damaged(f"{sum(rows):,} rows in {len(rows):,} groups, in {path.stat().st_size:,} bytes")
    picture = _largest_page(path, groups, (columns.path,))
    label = _largest_page(path, groups, columns.of_labels)
    return ParquetFile(
        path,
        columns,
        tuple(accumulate(rows, initial=0)),
        min(MOST_ROWS, max(1, TOGETHER // picture)),
        min(MOST_LABELS, max(1, TOGETHER // label)),
    )


def _largest_page(path: Path, groups: list[Any], names: tuple[str, ...]) -> int:
    """The size of the largest page of these columns, unpacked."""
    largest = 1
    for group in groups:
        chunks = [group.column(place) for place in range(group.num_columns)]
        for chunk in chunks:
            if chunk.path_in_schema in names:
                starts = [at for at in (chunk.dictionary_page_offset, chunk.data_page_offset) if at]
                for page in pages(path, min(starts), chunk.total_compressed_size):
                    largest = max(largest, page.size)
    if largest > MOST_PAGE:
        raise UserError(f"{path}: has a page of {largest:,} bytes; at most {MOST_PAGE:,} are read")
    return largest
