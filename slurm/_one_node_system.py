"""What one_node.py needs of the machine: locks, free ports, processes. Standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from ._one_node_settings import BadOption, OneNodeError
else:  # beside a script
    from _one_node_settings import BadOption, OneNodeError

PATIENCE = 60.0  # seconds a start or an answer may take; an idle machine needs 1, with accounting 5
DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
_BESIDES = ("slurmstepd", "slurmscriptd", "srun", "salloc")  # processes of a cluster that are no daemon
_FIRST_PORT, _PORTS, _SLOTS = 20000, 40, 200  # below 32768, where Linux begins to give out ports by itself
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
_FOREIGN = re.compile(r"(SLURM|SLURMD|SLURMCTLD|SBATCH|SRUN|SALLOC|SINFO|SQUEUE|SACCT|SCANCEL)_.*")
_COMMANDS = {  # Debian's packages, and what is used of them
    "munge slurm-wlm": "munged slurmctld slurmd sinfo sbatch srun squeue scancel scontrol",
    "slurmdbd mariadb-server": "slurmdbd sacctmgr sacct mariadbd mariadb-install-db",
}


def missing(accounting: bool = False) -> str:
    """One line with the programs that are not installed and the command that installs them; "" if none lacks."""
    packages = list(_COMMANDS) if accounting else list(_COMMANDS)[:1]
    names = [name for package in packages for name in _COMMANDS[package].split()]
    lacking = [name for name in names if not shutil.which(name, path=_PATH)]
    install = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    return f"not installed: {', '.join(lacking)}; this brings them: {install}" if lacking else ""


def environment(own: dict[str, str]) -> dict[str, str]:
    """This process's variables and `own`, without those of another cluster or of a surrounding job."""
    kept = {key: value for key, value in os.environ.items() if not _FOREIGN.fullmatch(key)}
    return {**kept, "PATH": _PATH, "LC_ALL": "C", **own}


def send(pid: int, sign: signal.Signals) -> None:
    """Send a signal to a process, which may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def wait(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait until `ready()` is true; returns False if it is not after `seconds`. It is called 20 times a second."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def locked(folder: Path, make: bool = False) -> Iterator[None]:
    """Holds the lock of a folder of this user, or of the folder for temporary files.

    Python opens files so that no program started here inherits them, so a daemon cannot keep the lock. Raises BadOption
    for a folder that cannot be locked, and OneNodeError after two minutes.
    """
    end = time.monotonic() + 2 * PATIENCE
    while (handle := _try_lock(folder, make)) is None:
        if time.monotonic() > end:
            raise OneNodeError(f"another process has been holding {folder} for two minutes")
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(handle)


def _try_lock(folder: Path, make: bool) -> int | None:
    try:
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise BadOption(f"--dir {folder} is no folder to use: {error.strerror}") from None
    # Of this user (or the temporary folder), free, and still the folder of that name
    status = os.fstat(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists() and folder.stat().st_ino == status.st_ino:  # the last holder may have removed it
            if status.st_uid == os.getuid() or folder == Path(tempfile.gettempdir()):
                return handle
            os.close(handle)
            raise BadOption(f"--dir {folder} is another user's")
    except BlockingIOError:
        pass
    os.close(handle)
    return None


def free_ports(folder: Path, count: int) -> int:
    """The first of `count` free TCP ports in a row.

    The search starts at a place that depends on the folder's name. The ports of a cluster whose slurmctld is down for
    the moment look free, and another cluster should not take them.
    """
    start = zlib.crc32(str(folder).encode())
    for slot in range(_SLOTS):
        first = _FIRST_PORT + _PORTS * ((start + slot) % _SLOTS)
        if all(_is_free(first + index) for index in range(count)):
            return first
    raise OneNodeError(f"no {count} free TCP ports in a row from {_FIRST_PORT} to {_FIRST_PORT + _PORTS * _SLOTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def is_loopback(host: str) -> bool:
    """Whether the name resolves to 127.*; False for a name that does not resolve."""
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False


def environ(pid: int) -> dict[str, str]:
    """The environment with which a process was started. Raises OSError if it has ended or is another user's."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return {key: value for key, equals, value in (entry.partition("=") for entry in entries) if equals}


def processes(slurm_conf: str) -> dict[int, str]:
    """All processes of the cluster with that slurm.conf, except this one and its parents.

    A shell that only has SLURM_CONF set is not among them: it runs no job and does not have the name of a daemon.
    """
    # This process and its parents
    own = os.getpid()
    spared = set()
    while own > 1:
        spared.add(own)
        own = int(Path(f"/proc/{own}/stat").read_text().rpartition(")")[2].split()[1])
    of_cluster = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) in spared:
            continue
        try:
            variables, name = environ(int(entry.name)), (entry / "comm").read_text().strip()
        except OSError:
            continue
        belongs = name in (*DAEMONS, *_BESIDES) or "SLURM_JOB_ID" in variables
        if belongs and variables.get("SLURM_CONF") == slurm_conf:
            of_cluster[int(entry.name)] = name
    return of_cluster


def end_processes(slurm_conf: str, names: Sequence[str] = ()) -> None:
    """Kill the processes of the cluster, or only those with these names. Raises OneNodeError if one does not end."""

    def left() -> dict[int, str]:
        return {pid: name for pid, name in processes(slurm_conf).items() if not names or name in names}

    def killed() -> bool:
        for pid in left():
            send(pid, signal.SIGKILL)
        return not left()

    if not wait(killed, 10):
        raise OneNodeError(f"these processes do not end: {left()}")
