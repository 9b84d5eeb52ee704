"""Values that a thread computes before they are asked for: batches of a training set that lies on disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")
PATIENCE = 5.0  # seconds that a read which hangs (a dead network disk) can hold up the end of a run


class _Outcome(NamedTuple, Generic[Value]):
    """What one read came to: a value, or the exception that it raised."""

    value: Value | None
    error: BaseException | None


class Ahead(Generic[Value]):
    """A function of the position whose values a thread reads in order, up to `depth` of them ahead of `at`.

    The values are those of the function, whichever position is asked for first or next: a position that is not the
    one after the last only makes the thread begin anew there. The thread reads beyond the last position that is ever
    asked for, and an exception there is never raised. `close` ends it; it never outlives the process.
    """

    def __init__(self, read: Callable[[int], Value], depth: int, name: str) -> None:
        self._read, self._depth, self._name = read, depth, name
        self._next: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._outcomes: queue.Queue[_Outcome[Value]] = queue.Queue()

    def at(self, position: int) -> Value:
        """The value at a position; raises what the function raised for it."""
        if position != self._next:
            self.close()
            self._start(position)
        outcome = self._outcomes.get()
        if outcome.error is not None:
            self.close()
            raise outcome.error
        self._next = position + 1
        return outcome.value  # type: ignore[return-value]  # None is a value like any other

    def close(self) -> None:
        """End the thread; what it has read is dropped. `at` begins anew."""
        self._next = None
        self._stop.set()
        if self._thread is None:
            return
        # A thread that waits to hand over a value goes on, and then sees that it is to stop.
        while self._thread.is_alive() and not self._outcomes.empty():
            self._outcomes.get_nowait()
        self._thread.join(PATIENCE)
        self._thread = None

    def _start(self, position: int) -> None:
        # Both are new: a thread that still hangs in a read has the old ones.
        self._stop, self._outcomes = threading.Event(), queue.Queue(self._depth)
        self._next = position
        arguments = (position, self._stop, self._outcomes)
        self._thread = threading.Thread(target=self._work, args=arguments, name=self._name, daemon=True)
        self._thread.start()

    def _work(self, position: int, stop: threading.Event, outcomes: queue.Queue[_Outcome[Value]]) -> None:
        while not stop.is_set():
            try:
                outcome = _Outcome(self._read(position), None)
            except BaseException as error:
                outcome = _Outcome(None, error)
            outcomes.put(outcome)
            if outcome.error is not None:
                return
            position += 1
