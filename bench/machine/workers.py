"""Worker processes that apply a function to many items, for work that one core would take minutes over.

They are fresh interpreters, not forks: torch and its threads are not copied, and the user's script is not imported
again. A worker ends when its pipe closes, so none outlives a parent that is killed.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, TypeVar

from bench.errors import UserError
from bench.machine.long_work import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
PATIENCE = 0.5  # seconds of work before processes are started, which takes as long
LARGEST_CHUNK = 32  # items that are sent together: a pipe costs as much for one


def usable_cores() -> int:
    """The cores that this process may use, which a cluster's job or `taskset` may have narrowed."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Up to `jobs` processes, started when a list takes long, and ended with the context."""

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = usable_cores() if jobs is None else jobs
        self.started: list[_Worker] = []

    def map(self, work: Callable[[Item], Result], items: Sequence[Item], what: str) -> list[Result]:
        """[work(item) for item in items], with progress on stderr; `work` and its results must pickle.

        An exception of `work` ends the map and is raised here. Raises UserError where a worker is killed.
        """
        return list(progress(self._each(work, items), len(items), what))

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.started:
            worker.end()
        self.started.clear()

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The results in order, from this process for as long as that is quick and none other is there."""
        done, begun = 0, time.monotonic()
        while done < len(items) and (self._jobs <= 1 or not (self.started or time.monotonic() - begun > PATIENCE)):
            yield work(items[done])
            done += 1
        if others := items[done:]:
            size = max(1, min(LARGEST_CHUNK, len(others) // (8 * self._jobs)))
            yield from self._results(work, [others[start : start + size] for start in range(0, len(others), size)])

    def _results(self, work: Callable[[Item], Result], chunks: Sequence[Sequence[Item]]) -> Iterator[Result]:
        """The results of all chunks in order; one thread for each worker waits for its pipe."""
        while len(self.started) < self._jobs:
            self.started.append(_Worker())
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self.started:
            worker.ask(work)
            idle.put(worker)

        def done(chunk: Sequence[Item]) -> list[Result]:
            worker = idle.get()
            try:
                results: list[Result] = worker.ask(chunk)
            finally:
                idle.put(worker)  # also one that failed: a thread that waits for ever would outlive the map
            return results

        threads = ThreadPoolExecutor(len(self.started))
        try:
            for results in threads.map(done, chunks):
                yield from results
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            # -P and PYTHONPATH: the worker imports what this process would, and nothing from where it was started.
            path = [place or os.getcwd() for place in sys.path]  # noqa: PTH109
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.worker", str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def ask(self, message: Any) -> Any:
        """The worker's answer to a function (None) or a chunk (its results); whatever was raised there is raised."""
        try:
            self._pipe.send(message)
            answer, error = self._pipe.recv()
        except (EOFError, OSError) as gone:
            code = self.process.wait()
            reason = f"by signal {-code}; memory may be short: fewer --jobs need less" if code < 0 else f"status {code}"
            raise UserError(f"a worker process was ended ({reason})") from gone
        if error is not None:
            raise error
        return answer

    def end(self) -> None:
        """End the worker, if need be in the middle of its work."""
        self.process.terminate()
        self.process.wait()
        self._pipe.close()


def serve(pipe: Connection) -> None:
    """What a worker does: take a function, then chunks of items for it, until the pipe is closed."""
    work: Callable[[Any], Any] | None = None
    while True:
        try:
            message = pipe.recv()
            if callable(message):
                work = message
                pipe.send((None, None))
            else:
                assert work is not None
                pipe.send(([work(item) for item in message], None))
        except (EOFError, ConnectionError):
            return
        except Exception as error:
            pipe.send((None, error))
