"""The items of a container in a few arrays, a row each: it may have millions, and an object takes half a kilobyte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import overload

import numpy as np

from bench.data.sources.source import Item
from bench.files.texts import Coded, Texts

_ABSENT = 255  # in a column of an attribute: the item does not say


class ItemTable(Sequence[Item]):
    """Items by row, made when they are asked for; some ten bytes each beside their names and attributes."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.names = Texts()
        self._labels: Coded[str | None] = Coded()
        self._splits: Coded[str | None] = Coded()
        self._columns: dict[str, bytearray] = {}
        for item in items:
            self.append(item)

    def append(self, item: Item) -> None:
        """One item more."""
        row = len(self.names)
        self.names.append(item.name)
        self._labels.append(item.label)
        self._splits.append(item.split)
        for name, value in item.attributes.items():
            column = self._columns.setdefault(name, bytearray())
            column += bytes([_ABSENT]) * (row - len(column))
            column.append(bool(value))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> list[Item]: ...
    def __getitem__(self, key: int | slice) -> Item | list[Item]:
        if isinstance(key, slice):
            return [self[row] for row in range(*key.indices(len(self)))]
        row = range(len(self))[key]
        return self._item(row, self.names[row])

    def __iter__(self) -> Iterator[Item]:
        for row, name in enumerate(self.names):
            yield self._item(row, name)

    def with_labels(self, labels: Iterable[str | None]) -> ItemTable:
        """The same items with other labels; their names are shared, so that neither table may be appended to."""
        other = copy(self)
        other._labels = Coded(labels)
        return other

    def labels(self) -> tuple[np.ndarray, list[str | None]]:
        """The place (N,) int32 of each item's label in the list beside it."""
        return self._labels.codes(), self._labels.values

    def splits(self) -> tuple[np.ndarray, list[str | None]]:
        """The place (N,) int32 of each item's split in the list beside it."""
        return self._splits.codes(), self._splits.values

    def attribute_names(self) -> tuple[str, ...]:
        """Every attribute that an item has, sorted."""
        return tuple(sorted(self._columns))

    def attribute(self, name: str) -> np.ndarray:
        """Whether each item has the attribute, (N,) uint8. KeyError where an item does not say."""
        column = np.frombuffer(bytes(self._columns[name]), np.uint8)
        if len(column) < len(self) or (column == _ABSENT).any():
            raise KeyError(f"not every item says whether it has {name}")
        return column

    def first_repeated(self) -> str | None:
        """A name that two items have; None where all are different."""
        sums, counts = np.unique(np.fromiter(map(hash, self.names), np.int64, len(self)), return_counts=True)
        if len(sums) == len(self):
            return None
        met: set[str] = set()  # of those whose hashes are equal alone
        suspect = set(sums[counts > 1].tolist())
        for name in self.names:
            if hash(name) in suspect:
                if name in met:
                    return name
                met.add(name)
        return None

    def _item(self, row: int, name: str) -> Item:
        if not self._columns:
            return Item(name, self._labels[row], self._splits[row])
        said = ((key, column[row]) for key, column in self._columns.items() if row < len(column))
        attributes = {key: bool(value) for key, value in said if value != _ABSENT}
        return Item(name, self._labels[row], self._splits[row], attributes)


class Chosen(Sequence[Item]):
    """Some items of a table, by their rows (n,)."""

    def __init__(self, table: ItemTable, rows: np.ndarray) -> None:
        self.table, self.rows = table, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> list[Item]: ...
    def __getitem__(self, key: int | slice) -> Item | list[Item]:
        if isinstance(key, slice):
            return [self.table[int(row)] for row in self.rows[key]]
        return self.table[int(self.rows[key])]

    def labels(self) -> set[str | None]:
        """The different labels."""
        codes, labels = self.table.labels()
        return {labels[code] for code in np.unique(codes[self.rows])}


class Names(Sequence[str]):
    """The names of some items of a table, by their rows (n,)."""

    def __init__(self, table: ItemTable, rows: np.ndarray) -> None:
        self._names, self._rows = table.names, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> list[str]: ...
    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            return [self._names[row] for row in self._rows[key].tolist()]
        return self._names[int(self._rows[key])]
