"""The tests' end of tests/fork_server.py: commands, attempts at runs and templates of workers, forked from a process
that has imported everything.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


class ForkMother:
    """The process of fork_server.py, which is started where somebody asks for it; `address` is where to connect."""

    def __init__(self) -> None:
        self.address = f"\0bench-fork-mother-{os.getpid()}"
        self.process: subprocess.Popen[bytes] | None = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        self.listener.listen()

    def start_when_asked(self) -> None:
        """Start it, by a thread, as soon as somebody connects."""
        threading.Thread(target=self._wait, daemon=True).start()

    def start(self) -> None:
        """Start it; it answers once it has imported everything."""
        single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "tests" / "fork_server.py"), str(self.listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **single},
            pass_fds=[self.listener.fileno()],
        )
        self.listener.close()  # where it ends too early, nobody waits for it

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait(300)

    def _wait(self) -> None:
        select.select([self.listener], [], [])
        self.start()


class ForkServer:
    """A server of one's own, forked when it is first asked.

    address: of a `ForkMother`; None: of one for this server alone.
    """

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self.mother: ForkMother | None = None
        self.lines: Any = None  # of the connection, both ways
        self.number = 0

    @property
    def pid(self) -> int:
        """Its process id; the process is started where it is not there yet."""
        self.lines = self.lines or self._begin()
        return self.number

    def start(self, uid: str, root: Path, *, every: float = 0.0, file_limit: int | None = None) -> int:
        """Begin an attempt at a run that saves every `every` seconds; returns its process id."""
        return int(self._ask("start", uid, str(root), every, file_limit))

    def wait(self, pid: int) -> tuple[int, str]:
        """(exit status, negative for a signal; outcome of a run or "")."""
        status, outcome = self._ask("wait", pid)
        return status, outcome

    def run(self, uid: str, root: Path, **options: Any) -> str:
        """One attempt, awaited: its outcome."""
        status, outcome = self.wait(self.start(uid, root, **options))
        assert status == 0
        return outcome

    def command(self, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """`bench ARGUMENTS` with this process's environment and `env`, in a folder, awaited."""
        environment = {**os.environ, "PYTHONPATH": python_path(), **env}
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            pid = self._ask("command", arguments, str(cwd or Path.cwd()), environment, str(out), str(err))
            status, _ = self.wait(pid)
            return subprocess.CompletedProcess(
                ["bench", *arguments], status, out.read_text("utf-8"), err.read_text("utf-8")
            )

    def close(self) -> None:
        """End the process, if there is one."""
        if self.lines is not None:
            self.lines.close()
        self.lines = None
        if self.mother is not None:
            self.mother.close()

    def _ask(self, *request: Any) -> Any:
        lines = self.lines or self._begin()
        self.lines = None  # if this test is stopped while it waits, the next one must not get its answer
        lines.write(json.dumps(request) + "\n")
        lines.flush()
        reply = json.loads(lines.readline())
        self.lines = lines
        return reply

    def _begin(self) -> Any:
        if self.address is None:
            self.mother = ForkMother()
            self.address = self.mother.address
            self.mother.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.address)
            socket.send_fds(connection, [b"."], [2])
            lines = connection.makefile("rw")
        self.number = json.loads(lines.readline())
        return lines


def python_path() -> str:
    """$PYTHONPATH of a process that finds this checkout first."""
    return os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
