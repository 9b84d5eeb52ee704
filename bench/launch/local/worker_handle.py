"""The queue's end of a worker process: starts it on a device, sends it runs, receives its events by a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from bench.paths import IMPORT_ROOT
from bench.plan.schedule import PlannedRun


class Process(Protocol):
    """What the queue uses of a worker's process; that of a fork is bench.launch.local.template_handle.Forked."""

    @property
    def pid(self) -> int | None:
        """Its process id; None while there is none."""
        ...

    def send_signal(self, number: int, /) -> None:
        """Send it a signal."""
        ...

    def terminate(self) -> None:
        """Send it SIGTERM."""
        ...

    def wait(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal, or None if that cannot be known."""
        ...


# (command line, descriptors of stdin, events and log) -> the process that has them
Begin = Callable[[list[str], int, int, int], Process]


@dataclass
class Worker:
    """A process of bench.launch.local.worker, and the run that it has."""

    process: Process
    device: str
    orders: FileIO  # the end of its stdin that we write
    events: int  # the end of the pipe that we read
    log: Path
    run: PlannedRun | None = None
    crew: Any = None  # with whom it trains the run, where several do: a bench.launch.local.crew.Crew
    ordered: bool = False  # whether it has been told to begin, in a crew
    ready: bool = False  # whether it has reported that it waits for runs
    buffer: bytes = b""

    @classmethod
    def start(cls, device: str, log: Path, arguments: list[str], begin: Begin) -> Worker:
        """Start a worker with a command line; `begin` is `spawn` or that of a template."""
        stdin, orders = os.pipe()
        read, write = os.pipe()
        try:
            with log.open("w") as output:
                process = begin(arguments, stdin, write, output.fileno())
        finally:
            os.close(stdin)
            os.close(write)
        return cls(process, device, FileIO(orders, "w"), read, log)

    def send(self, text: str) -> None:
        """Send a line: the id of the run to do next."""
        with suppress(BrokenPipeError):  # it has died: receive() finds its end of the pipe closed
            self.orders.write(f"{text}\n".encode())

    def receive(self) -> list[dict[str, Any]] | None:
        """The events that have come since; None once the worker has closed its end."""
        data = os.read(self.events, 65536)
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        """Close its stdin, which ends it."""
        self.orders.close()

    def last_words(self) -> str:
        """The last line of its log, which has the error that ended it."""
        return last_words(self.log)

    def close(self) -> tuple[int | None, list[str]]:
        """Wait for its end; returns its exit status (`Process.wait`) and its messages to the user.

        An empty log is deleted.
        """
        self.orders.close()
        os.close(self.events)
        status = self.process.wait()
        text = self.log.read_text(errors="replace") if self.log.exists() else ""  # its store may have moved
        if not text:
            self.log.unlink(missing_ok=True)
        return status, [line for line in text.splitlines() if line.startswith("bench: ")]


def spawn(
    arguments: list[str], stdin: int, events: int, log: int, more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a worker as an interpreter of its own; more: what its environment has beside that of all workers."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.launch.local.worker", *arguments, "--events", str(events)],
        stdin=stdin,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=[events],
        env={**environment(), **(more or {})},
    )


def how_it_ended(code: int | None) -> str:
    """The exit status of a worker, in words."""
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit status {'unknown, as its template ended too' if code is None else code}"


def last_words(log: Path) -> str:
    """The last line of a process's log."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def environment() -> dict[str, str]:
    """The worker's environment, in which it finds this package and numeric libraries use one thread each."""
    path = os.pathsep.join(filter(None, [str(IMPORT_ROOT), os.environ.get("PYTHONPATH", "")]))
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Before the first product on a GPU, or cuBLAS may add up in another order each time (bench.run.build)
    cublas = {"CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8")}
    return {**os.environ, "PYTHONPATH": path, **threads, **cublas}
