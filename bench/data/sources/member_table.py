"""Where the members of an archive lie, by name: a few numbers for each, in little memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from bench.files.texts import Texts


class MemberTable:
    """Members by name, in the order of their names once all are there. Of several of one name the last counts."""

    def __init__(self, numbers: int) -> None:
        self._names, self._columns = Texts(), [array("q") for _ in range(numbers)]

    def append(self, name: str, *numbers: int) -> None:
        """One member more, with its numbers."""
        self._names.append(name)
        for column, number in zip(self._columns, numbers, strict=True):
            column.append(number)

    def complete(self) -> int:
        """Put all members in order, after the last `append`; how many have given way to a later one of their name."""
        order = self._names.order().tolist()
        names, columns, before = Texts(), [array("q") for _ in self._columns], None
        for place in reversed(order):  # equal names stand in the order of the archive: the last of them comes first
            if (name := self._names[place]) != before:
                names.append(name)
                for old, new in zip(self._columns, columns, strict=True):
                    new.append(old[place])
            before = name
        repeated = len(order) - len(names)
        self._names = Texts(names[place] for place in reversed(range(len(names))))
        for column in columns:
            column.reverse()
        self._columns = columns
        return repeated

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._names)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        """A member's numbers. KeyError for a name that none has."""
        place = bisect_left(self._names, name)
        if place == len(self._names) or self._names[place] != name:
            raise KeyError(name)
        return tuple(column[place] for column in self._columns)

    def column(self, number: int) -> array[int]:
        """One number of every member, in the order of the names; may be written to."""
        return self._columns[number]
