"""Handles that each process opens for itself: an open file outlives neither a pickle nor a fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """What `opened` gives, kept until another process asks. A copy made by pickling is empty.

    After a fork, parent and child would share one position in the file.
    """

    def __init__(self) -> None:
        self._kept: tuple[int, T] | None = None

    def get(self, opened: Callable[[], T]) -> T:
        """The handle of this process, opened now if it has none."""
        if self._kept is None or self._kept[0] != os.getpid():
            self._kept = os.getpid(), opened()
        return self._kept[1]

    def drop(self) -> None:
        """Forget the handle."""
        self._kept = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()
