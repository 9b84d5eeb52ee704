"""Many texts in little memory, their bytes one after the other: a Python string takes fifty more than its own."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

Value = TypeVar("Value")


class Texts(Sequence[str]):
    """Texts by number, any text that Python has; only ever appended to."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends = bytearray(), array("q")
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """One text more."""
        self._bytes += text.encode("utf-8", "surrogatepass")  # names of files may hold bytes that are no text
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: slice) -> list[str]: ...
    def __getitem__(self, key: int | slice) -> str | list[str]:
        if isinstance(key, slice):
            return [self[number] for number in range(*key.indices(len(self)))]
        number = range(len(self))[key]  # also from the end; IndexError beyond it
        start = self._ends[number - 1] if number else 0
        return self._bytes[start : self._ends[number]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        start = 0
        for end in self._ends:
            yield self._bytes[start:end].decode("utf-8", "surrogatepass")
            start = end

    def order(self) -> np.ndarray:
        """The numbers of the texts (N,) int64 in the order of the texts; equal ones in their own order."""
        return np.array(sorted(range(len(self)), key=self.__getitem__), np.int64)


class Coded(Generic[Value]):
    """Values by number, of which few are different: each is kept once, and a small number for every place."""

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.values: list[Value] = []
        self._codes = array("i")
        self._code_of: dict[Value, int] = {}
        for value in values:
            self.append(value)

    def append(self, value: Value) -> None:
        """One value more."""
        code = self._code_of.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        self._codes.append(code)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, number: int) -> Value:
        return self.values[self._codes[number]]

    def codes(self) -> np.ndarray:
        """The place (N,) int32 in `values` of each, as a copy."""
        return np.array(self._codes, np.int32)
