"""One worker per run at a time: a lock that dies with its process, and a heartbeat where locks do not reach."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.store.layout import RunPaths
from bench.store.liveness import is_alive
from bench.store.reading import read_json


class RunBusyError(Exception):
    """Another worker holds the run."""


class RunGoneError(OSError):
    """The folder of a run is no longer where it was: somebody has moved or deleted it, or its store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            errno.ENOENT,
            f"run folder {folder} has gone (moved or deleted?) and is not made anew; with the store's new place "
            "as --store or BENCH_STORE the run continues",
        )

    def __str__(self) -> str:
        return str(self.strerror)


def require(run: RunPaths) -> None:
    """Raise RunGoneError unless the run's folder is there.

    Only `Store.open` makes one, so that workers whose store was moved away leave no partial run at the old place.
    """
    if not run.path.is_dir():
        raise RunGoneError(run.path)


@contextmanager
def lease(run: RunPaths) -> Iterator[None]:
    """Hold the run. Raises RunBusyError while another worker has it, RunGoneError where there is none.

    The kernel's lock dies with its process, so a killed worker leaves nothing to clean up. A fresh heartbeat of
    another host protects the run on file systems whose locks do not reach across hosts.
    """
    require(run)
    with run.lock_file.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunBusyError(run.uid) from error
        if not _still_at(run.lock_file, file.fileno()):
            raise RunBusyError(run.uid)  # the folder has just been set aside: this lock guards nothing
        beat = read_json(run.heartbeat_file) or {"state": "none"}
        if beat["state"] == "running" and beat["host"] != socket.gethostname() and is_alive(beat):
            raise RunBusyError(run.uid)
        yield


def is_held(run: RunPaths) -> bool:
    """Whether a worker of this machine, or of one whose locks reach here, has the run now; nothing is written."""
    try:
        with run.lock_file.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock: nobody has ever worked here; or a file system without locks, where none is held
        return False
    return False


def _still_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that lies at `path` now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
