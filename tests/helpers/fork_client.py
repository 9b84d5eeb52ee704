"""The tests' end of tests/fork_server.py: commands, attempts at runs and templates of workers, forked from a process
that has imported everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


class ForkServer:
    """The process of fork_server.py, started when it is first asked."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Its process id; the process is started where it is not there yet."""
        self.process = self.process or self._begin()
        return self.process.pid

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
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait(300)
        self.process = None

    def _ask(self, *request: Any) -> Any:
        process = self.process or self._begin()
        self.process = None  # if this test is stopped while it waits, the next one must not get its answer
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        reply = self._reply(process)
        self.process = process
        return reply

    def _begin(self) -> subprocess.Popen[str]:
        single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        process = subprocess.Popen(
            [sys.executable, str(CHECKOUT / "tests" / "fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **single},
        )
        assert self._reply(process) == "ready"
        return process

    @staticmethod
    def _reply(process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        return json.loads(process.stdout.readline())


def python_path() -> str:
    """$PYTHONPATH of a process that finds this checkout first."""
    return os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
