"""Worker processes that apply a function to many items, for work that one core would take minutes over.

They are fresh interpreters, not forks: torch and its threads are not copied, and the user's script is not imported
again. A worker ends when its pipe closes, so none outlives a parent that is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from bench.errors import UserError
from bench.machine.long_work import Passed

Item = TypeVar("Item")
Result = TypeVar("Result")
PATIENCE = 0.5  # seconds of work before processes are started, which takes as long
LARGEST_CHUNK = 32  # items that are sent together: a pipe costs as much for one
TURNS = 8  # that each process has at least, of items that are best read together


def usable_cores() -> int:
    """The cores that this process may use, which a cluster's job or `taskset` may have narrowed."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerEndedError(UserError):
    """A worker process was killed, or could not begin."""


@dataclass(frozen=True)
class _OfEach(Generic[Item, Result]):
    """Some items -> the result of each."""

    work: Callable[[Item], Result]

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        return [self.work(item) for item in items]


class Workers:
    """Up to `jobs` processes, started when a list takes long, and ended with the context."""

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = usable_cores() if jobs is None else jobs
        self.started: list[_Worker] = []

    def map(self, work: Callable[[Item], Result], items: Sequence[Item], what: str) -> list[Result]:
        """[work(item) for item in items], with progress on stderr; `work` and its results must pickle.

        An exception of `work` ends the map and is raised here. Raises WorkerEndedError where a worker is killed.
        """
        results: list[Any] = [None] * len(items)
        for start, part in self.chunks(_OfEach(work), items, what):
            results[start : start + len(part)] = part
        return results

    def chunks(
        self,
        work: Callable[[Sequence[Item]], Result],
        items: Sequence[Item],
        what: str,
        unit: Callable[[Item], Hashable] | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """(the number of the first, work(some items that follow one another)) until all are done, as they get done.

        A part of `items` is taken when it is its turn, so that they need not all be in memory. unit: neighbours for
        which it gives the same go to one process, one chunk after the other, as far as every process has enough to do.
        what: for the progress on stderr; "" prints none. Errors as of `map`.
        """
        passed = Passed(len(items), what)
        try:
            yield from self._done(work, items, passed, unit)
        finally:
            passed.end()

    def _done(
        self,
        work: Callable[[Sequence[Item]], Result],
        items: Sequence[Item],
        passed: Passed,
        unit: Callable[[Item], Hashable] | None,
    ) -> Iterator[tuple[int, Result]]:
        """What `chunks` gives."""
        done, size, begun = 0, 1, time.monotonic()

        # In this process for as long as that is quick and none other is there.
        while done < len(items) and (self._jobs <= 1 or not (self.started or time.monotonic() - begun > PATIENCE)):
            part = items[done : done + size]
            yield done, work(part)
            passed.add(len(part))
            done, size = done + len(part), min(2 * size, LARGEST_CHUNK)

        # Then in the others.
        left = len(items) - done
        size = max(1, min(LARGEST_CHUNK, left // (8 * self._jobs)))
        most = max(size, left // (TURNS * self._jobs))
        turns = _turns(items, done, most, unit) if unit else _cut(range(done, len(items)), size)
        for chunk, result in self._handed_out(work, items, turns, size) if left else ():
            yield chunk.start, result
            passed.add(len(chunk))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.started:
            worker.end()
        self.started.clear()

    def _handed_out(
        self, work: Callable[[Sequence[Item]], Result], items: Sequence[Item], turns: Iterator[range], size: int
    ) -> Iterator[tuple[range, Result]]:
        """The result of every chunk of every turn. Each process has one turn at a time, and of that one chunk."""
        while len(self.started) < self._jobs:
            self.started.append(_Worker())
        for worker in self.started:
            worker.send(work)
        for worker in self.started:
            worker.receive()
        rest: dict[_Worker, Iterator[range]] = {worker: iter(()) for worker in self.started}
        busy: dict[Connection, tuple[_Worker, range]] = {}

        def hand_to(worker: _Worker) -> None:
            chunk = next(rest[worker], None)
            if chunk is None and (turn := next(turns, None)) is not None:
                rest[worker] = _cut(turn, size)
                chunk = next(rest[worker])
            if chunk is not None:
                worker.send(items[chunk.start : chunk.stop])
                busy[worker.pipe] = worker, chunk

        try:
            for worker in self.started:
                hand_to(worker)
            while busy:
                for pipe in wait(list(busy)):
                    worker, chunk = busy[pipe]  # type: ignore[index]
                    result = worker.receive()
                    del busy[worker.pipe]
                    hand_to(worker)
                    yield chunk, result
        finally:
            # Of what was not waited for, the answers would be taken for those of the next list.
            for worker, _ in busy.values():
                worker.end()
                self.started.remove(worker)


def _cut(whole: range, size: int) -> Iterator[range]:
    """Parts of a range, of at most this length."""
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _turns(items: Sequence[Item], start: int, most: int, unit: Callable[[Item], Hashable]) -> Iterator[range]:
    """The places from `start` on whose items are of one unit, at most so many together."""
    first, before = start, None
    for place in range(start, len(items)):
        now = unit(items[place])
        if place > first and now != before:
            yield from _cut(range(first, place), most)
            first = place
        before = now
    yield from _cut(range(first, len(items)), most)


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            # -P and PYTHONPATH: the worker imports what this process would, and nothing from where it was started.
            path = [place or os.getcwd() for place in sys.path]  # noqa: PTH109
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.worker", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def send(self, message: Any) -> None:
        """A function, or the items of a chunk for it."""
        try:
            self.pipe.send(message)
        except OSError as gone:
            raise self._gone() from gone

    def receive(self) -> Any:
        """The answer to the last message, None to a function; whatever was raised there is raised."""
        try:
            answer, error = self.pipe.recv()
        except (EOFError, OSError) as gone:
            raise self._gone() from gone
        if error is not None:
            raise error
        return answer

    def _gone(self) -> WorkerEndedError:
        code = self.process.wait()
        reason = f"by signal {-code}; memory may be short: fewer --jobs need less" if code < 0 else f"status {code}"
        return WorkerEndedError(f"a worker process was ended ({reason})")

    def end(self) -> None:
        """End the worker, if need be in the middle of its work."""
        self.process.terminate()
        self.process.wait()
        self.pipe.close()


def serve(pipe: Connection) -> None:
    """What a worker does: take a function of many items, then items for it, until the pipe is closed."""
    work: Callable[[Sequence[Any]], Any] | None = None
    while True:
        try:
            message = pipe.recv()
            if callable(message):
                work = message
                pipe.send((None, None))
            else:
                assert work is not None
                pipe.send((work(message), None))
        except (EOFError, ConnectionError):
            return
        except Exception as error:
            pipe.send((None, error))
