"""The temporary folder of a build, beside the set that it will be: one process's own while that lives.

What a killed build has converted (bench.data.journal) is found again by the next build of the same set, at once: the
kernel's lock on the folder dies with its process. Whatever else it has left is removed then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import paths
from bench.data import journal
from bench.data.builder import SET
from bench.data.disk import put_back
from bench.data.picture_pile import BadPicturesError
from bench.data.places import cannot_write
from bench.errors import UserError
from bench.machine.workers import WorkerEndedError

LOCK = "lock"
FORGOTTEN = 24 * 3600  # seconds that a killed build of another set is kept for the same command
BEAT, SILENT = 60.0, 600.0  # seconds between two signs of life, and without one until a process elsewhere is dead
_NAME = re.compile(r"\.(?P<set>[a-z0-9][a-z0-9@-]*-[0-9]+)\.[A-Za-z0-9_]+")


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder of this process's own for building the set `folder`, removed at the end.

    It has what a killed build of the same set had converted, and nothing else. What this build has converted stays if
    it is ended, or refused for bad pictures (another refusal is of the source or the settings, and these are then
    other ones). UserError where the cache cannot be written.
    """
    # The folder, and signs of life for those whom its lock does not reach.
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch, lock = _found_again(folder) or _fresh(folder)
        (scratch / SET).mkdir()
    except OSError as error:
        raise cannot_write(folder.parent, error) from error
    ended = threading.Event()
    threading.Thread(target=_beat, args=(lock, ended), daemon=True).start()

    # What becomes of it.
    try:
        yield scratch
    except BaseException as error:
        _keep_journal(scratch)
        ended_early = not isinstance(error, UserError) or isinstance(error, BadPicturesError | WorkerEndedError)
        if ended_early and (kept := journal.converted(scratch)) is not None:
            print(
                f"{kept[0]:,} of {kept[1]:,} pictures are converted and kept in {scratch}: the next build of it goes "
                "on with them; delete that folder to be rid of them",
                file=sys.stderr,
            )
        else:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    finally:
        ended.set()
        os.close(lock)


@dataclass(frozen=True)
class Interrupted:
    """A build that was killed, and is kept for the same command."""

    name: str
    resolution: int
    path: Path
    done: int  # pictures that are converted, of those that are to be
    pictures: int
    bytes: int


def interrupted() -> list[Interrupted]:
    """Every build of this cache that was killed and can be continued."""
    found = []
    for scratch, of_set in _scratch_folders(paths.cache_root() / "data"):
        kept = journal.converted(scratch)
        if kept is None or (lock := _lock_of_dead(scratch)) is None:
            continue
        os.close(lock)
        name, _, resolution = of_set.rpartition("-")
        size = sum(file.stat().st_size for file in scratch.rglob("*") if file.is_file())
        found.append(Interrupted(name, int(resolution), scratch, *kept, size))
    return sorted(found, key=lambda one: (one.name, one.resolution, one.path))


def _fresh(folder: Path) -> tuple[Path, int]:
    """A new folder and its lock."""
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    # The lock has its name once it is held: a free one is that of a dead build.
    hidden = scratch / f".{LOCK}"
    lock = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with contextlib.suppress(OSError):  # a file system without locks: signs of life must do
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _sign(lock)
    hidden.rename(scratch / LOCK)
    return scratch, lock


def _found_again(folder: Path) -> tuple[Path, int] | None:
    """What the last killed build of this set had converted, and the lock of its folder; all else of the dead goes.

    A set that a build was about to replace when it was killed is put back.
    """
    mine: list[tuple[float, Path, int]] = []
    for scratch, of_set in _scratch_folders(folder.parent):
        if (lock := _lock_of_dead(scratch)) is None:
            continue
        put_back(scratch, folder.parent / of_set)
        kept, ended = journal.converted(scratch) is not None, os.fstat(lock).st_mtime
        if kept and of_set == folder.name:
            mine.append((ended, scratch, lock))
            continue
        if not kept or time.time() - ended > FORGOTTEN:
            shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)
    mine.sort(key=lambda one: one[:2])
    for _, scratch, lock in mine[:-1]:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)
    if not mine:
        return None
    _, scratch, lock = mine[-1]
    _keep_journal(scratch)
    _sign(lock)
    return scratch, lock


def _scratch_folders(root: Path) -> Iterator[tuple[Path, str]]:
    """Every folder of a build below `root`, and the name of the set's folder."""
    for scratch in sorted(root.glob(".*")) if root.is_dir() else ():
        if (match := _NAME.fullmatch(scratch.name)) and scratch.is_dir() and not scratch.is_symlink():
            yield scratch, match["set"]


def _lock_of_dead(scratch: Path) -> int | None:
    """The lock of a folder whose build is dead, which is now this process's; None while it may be alive."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if not (scratch / LOCK).exists() and time.time() - scratch.stat().st_mtime > SILENT:
            flags |= os.O_CREAT  # of a version without locks, or killed before there was one
        lock = os.open(scratch / LOCK, flags, 0o644)
    except OSError:
        return None  # it has just been made or removed, or is another user's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here = os.path.samestat((scratch / LOCK).stat(), os.fstat(lock))
        mine = os.pread(lock, 1024, 0).decode(errors="replace").split(" ")[0] in ("", socket.gethostname())
    except BlockingIOError:
        here = mine = False
    except OSError:
        here, mine = True, False  # no locks here
    silent = time.time() - os.fstat(lock).st_mtime > SILENT
    if here and (mine or silent):  # a lock of another machine may not reach this one
        return lock
    os.close(lock)
    return None


def _sign(lock: int) -> None:
    """Whose folder it is."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{socket.gethostname()} {os.getpid()}\n".encode(), 0)


def _beat(lock: int, ended: threading.Event) -> None:
    """Signs of life until the build has ended."""
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(lock)


def _keep_journal(scratch: Path) -> None:
    """Remove what another build cannot use: splits, unpacked archives."""
    for path in scratch.iterdir():
        if path.name != LOCK and not journal.is_part(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
