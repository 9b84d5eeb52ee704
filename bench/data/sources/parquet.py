"""Parquet, as hubs of data sets have it: one file, or a folder of shards whose names say their splits.

A column holds encoded pictures. Pictures are read some rows at a time: a row group may be larger than memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from bench.data.picture import SUFFIXES
from bench.data.sources.parquet_columns import Columns, columns_of
from bench.data.sources.per_process import PerProcess
from bench.data.sources.publisher_files import files_below
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.data.sources.split_names import kind_left_out, meant, split_in
from bench.errors import UserError
from bench.files.inert_pickle import failure

SUFFIX = ".parquet"
TABLE_OF_FOLDER = "metadata.parquet"  # labels of pictures that lie beside it, no pictures
MAGIC = b"PAR1"
DEPTH = 3  # levels of folders: SET/CONFIGURATION/SPLIT/0000.parquet
LOOKED_AT = 1000  # files of a folder by which it is known
BATCH = 2**24  # bytes of pictures that are decoded together, as far as their number of rows allows
MOST_ROWS = 256
LABEL_ROWS = 2**14  # rows of labels that are decoded together
LIMITS = {"thrift_string_size_limit": 2**26, "thrift_container_size_limit": 2**22}  # of a file's description


def is_parquet(path: Path, head: bytes) -> bool:
    """Whether a path is a parquet file, or a folder of such without pictures of its own."""
    if not path.is_dir():
        return head.startswith(MAGIC)
    files = islice(files_below(path, DEPTH), LOOKED_AT)
    suffixes = {file.suffix.lower() for file in files if file.name != TABLE_OF_FOLDER}
    return SUFFIX in suffixes and not suffixes & SUFFIXES


@dataclass(frozen=True)
class _Shard:
    """One file. starts: the first row of each row group, and behind them the number of all rows."""

    path: Path
    columns: Columns
    starts: tuple[int, ...]
    rows_together: int


class ParquetSource(Source):
    """The rows of all shards that have a picture's bytes. An item's name is its file's and its row."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._shards: dict[str, _Shard] = {}
        self._reader: PerProcess[_Reader] = PerProcess()

    def items(self) -> Iterator[Item]:
        """Every row by file and place, with its class and its attributes. UserError for a damaged or unclear file."""
        self.left_out.clear()
        self._shards.clear()
        files = self._files()
        splits = meant(split_in(name) for name in files)
        for name, file in files.items():
            with _refusing(file):
                shard = _shard(file)
                split = split_in(name)
                if split not in splits:
                    self.left_out[kind_left_out(split)] += shard.starts[-1]
                    continue
                self._shards[name] = shard
                places = (f"{name}#{row:08d}" for row in range(shard.starts[-1]))
                for place, (label, attributes) in zip(places, _labels(shard), strict=True):
                    yield Item(place, label, splits[split], attributes)

    def read(self, name: str, most: int | None = None) -> bytes:
        """The encoded picture of a row."""
        file, _, row = name.rpartition("#")
        try:
            value = self._reader.get(_Reader).value(self._shards[file], int(row))
            if value is None or not value.is_valid:
                raise BadItemError("has no picture in its row")
            buffer = value.as_buffer()
            if most is not None and buffer.size > most:
                raise too_large(buffer.size, most)
            return buffer.to_pybytes()
        except (BadItemError, UserError):
            raise
        except Exception as error:  # a damaged file raises nearly anything
            self._reader.drop()
            raise BadItemError(f"cannot be read ({_first_line(error)})") from error

    def _files(self) -> dict[str, Path]:
        """Each shard by its name, sorted as items are."""
        if not self.path.is_dir():
            return {self.path.name: self.path}
        found = {}
        for file in files_below(self.path, DEPTH):
            if file.suffix.lower() == SUFFIX and file.name != TABLE_OF_FOLDER:
                found[file.relative_to(self.path).as_posix()] = file
            else:
                self.left_out["hidden" if file.name.startswith(".") else "other files"] += 1
        return dict(sorted(found.items(), key=lambda entry: f"{entry[0]}#"))


class _Reader:
    """The rows that were decoded last, of one file: rows are mostly asked for in order."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._group = -1
        self._first = 0  # the batch's first row in its group
        self._batch: Any = None

    def value(self, shard: _Shard, row: int) -> Any:
        """The scalar of a row; None where the group has fewer rows than it says."""
        group = bisect_right(shard.starts, row) - 1
        place = row - shard.starts[group]
        if (shard.path, group) != (self._path, self._group) or place < self._first:
            self._path, self._group, self._first, self._batch = shard.path, group, 0, None
            self._batches = _opened(shard.path).iter_batches(
                shard.rows_together, row_groups=[group], columns=[shard.columns.path], use_threads=False
            )
        while self._batch is None or place >= self._first + len(self._batch):
            self._first += len(self._batch or ())
            self._batch = next(self._batches, None)
            if self._batch is None:
                self._group = -1
                return None
            self._batch = self._batch.column(0)
            if shard.columns.in_struct:
                self._batch = self._batch.field("bytes")
        return self._batch[place - self._first]


def _opened(path: Path) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(
            f"{path}: parquet is read by pyarrow, which is not installed: pip install 'lowdata-gan-bench[formats]'"
        ) from error
    # Not mapped: a file that becomes shorter would end the process.
    return ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=2**20, **LIMITS)


def _shard(path: Path) -> _Shard:
    file = _opened(path)
    columns = columns_of(file.schema_arrow, str(path))
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    size = path.stat().st_size
    if min(rows, default=0) < 0 or sum(rows) != file.metadata.num_rows or sum(rows) > size:
        raise UserError(f"{path}: damaged: {sum(rows):,} rows in {len(rows):,} groups, in {size:,} bytes")
    each = max(1, size // max(1, sum(rows)))
    return _Shard(path, columns, tuple(accumulate(rows, initial=0)), min(MOST_ROWS, max(1, BATCH // each)))


def _labels(shard: _Shard) -> Iterator[tuple[str | None, dict[str, bool]]]:
    """Class and attributes of each row. Only these columns are read."""
    columns = shard.columns
    names = [*([columns.label] if columns.label else []), *columns.attributes]
    if not names:
        yield from ((None, {}) for _ in range(shard.starts[-1]))
        return
    for batch in _opened(shard.path).iter_batches(LABEL_ROWS, columns=names, use_threads=False):
        for row in batch.to_pylist():
            label = row[columns.label] if columns.label else None
            attributes = {name: row[name] for name in columns.attributes}
            if None in attributes.values():
                name = next(name for name, value in attributes.items() if value is None)
                raise UserError(f"{shard.path}: column '{name}' has rows that say neither true nor false")
            yield _class(label, columns, shard.path), attributes


def _class(label: Any, columns: Columns, path: Path) -> str | None:
    if label is None or (columns.classes and label == -1):  # -1: how a hub says that there is none
        return None
    if not columns.classes:
        return str(label)
    if not 0 <= label < len(columns.classes):
        raise UserError(f"{path}: column '{columns.label}' has {label}, but {len(columns.classes)} classes have names")
    return columns.classes[label]


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file raises nearly anything
        raise failure(str(path), error, "a parquet file") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
