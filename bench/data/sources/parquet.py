"""Parquet, as hubs of data sets have it: one file, or a folder of shards whose names say their splits.

A column holds encoded pictures. Pictures are read some rows at a time: a row group may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.data.picture import SUFFIXES
from bench.data.sources.names import leftover
from bench.data.sources.parquet_file import ParquetFile, described
from bench.data.sources.per_process import PerProcess
from bench.data.sources.publisher_files import files_below
from bench.data.sources.refusing import first_line, refusing
from bench.data.sources.source import BadItemError, Item, Source, too_large
from bench.data.sources.split_names import kind_left_out, meant, split_in
from bench.errors import UserError

SUFFIX = ".parquet"
TABLE_OF_FOLDER = "metadata.parquet"  # labels of pictures that lie beside it, no pictures
MAGIC = b"PAR1"
DEPTH = 3  # levels of folders: SET/CONFIGURATION/SPLIT/0000.parquet
LOOKED_AT = 1000  # files of a folder by which it is known


def is_parquet(path: Path, head: bytes) -> bool:
    """Whether a path is a parquet file, or a folder of such without pictures of its own."""
    if not path.is_dir():
        return head.startswith(MAGIC)
    try:
        files = islice(files_below(path, DEPTH), LOOKED_AT)
        suffixes = {file.suffix.lower() for file in files if file.name != TABLE_OF_FOLDER}
    except OSError:  # a folder that cannot be listed is named by who reads it
        return False
    return SUFFIX in suffixes and not suffixes & SUFFIXES


class ParquetSource(Source):
    """The rows of all shards that have a picture's bytes. An item's name is its file's and its row."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._shards: dict[str, ParquetFile] = {}
        self._reader: PerProcess[_Reader] = PerProcess()

    def items(self) -> Iterator[Item]:
        """Every row by file and place, with its class and its attributes. UserError for a damaged or unclear file."""
        self.left_out.clear()
        self._shards.clear()
        files = self._files()
        splits = meant(split_in(name) for name in files)
        for name, path in files.items():
            with refusing(path, "a parquet file"):
                shard, split = described(path), split_in(name)
                if split not in splits:
                    self.left_out[kind_left_out(split)] += shard.count
                    continue
                self._shards[name] = shard
                places = (f"{name}#{row:08d}" for row in range(shard.count))
                for place, (label, attributes) in zip(places, shard.labels(), strict=True):
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
            content: bytes = buffer.to_pybytes()
            return content
        except (BadItemError, UserError):
            raise
        except Exception as error:  # a damaged file raises nearly anything
            self._reader.drop()
            raise BadItemError(f"cannot be read ({first_line(error)})") from error

    def units(self) -> Callable[[str], tuple[str, int]]:
        """A picture's row group, which is decoded from its beginning: the file and its number."""

        def unit(name: str) -> tuple[str, int]:
            file, _, row = name.rpartition("#")
            return file, self._shards[file].group_of(int(row))

        return unit

    def _files(self) -> dict[str, Path]:
        """Each shard by its name, sorted as items are."""
        if not self.path.is_dir():
            return {self.path.name: self.path}
        found = {}
        for file in files_below(self.path, DEPTH):
            name = file.relative_to(self.path).as_posix()
            if kind := leftover(name):
                self.left_out[kind] += 1
            elif file.suffix.lower() == SUFFIX and file.name != TABLE_OF_FOLDER:
                found[name] = file
            else:
                self.left_out["other files"] += 1
        return dict(sorted(found.items(), key=lambda entry: f"{entry[0]}#"))


class _Reader:
    """The rows that were decoded last, of one file: rows are mostly asked for in order."""

    def __init__(self) -> None:
        self._place: tuple[Path, int] | None = None  # the file and the row group
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = ()
        self._first = 0  # the batch's first row in its group

    def value(self, shard: ParquetFile, row: int) -> Any:
        """The scalar of a row; None where the group has fewer rows than it says."""
        group = shard.group_of(row)
        inside = row - shard.starts[group]
        if (shard.path, group) != self._place or inside < self._first:
            self._place, self._batches, self._batch, self._first = (shard.path, group), shard.pictures(group), (), 0
        while inside >= self._first + len(self._batch):
            self._first += len(self._batch)
            self._batch = next(self._batches, ())
            if len(self._batch) == 0:
                self._place = None
                return None
        return self._batch[inside - self._first]
