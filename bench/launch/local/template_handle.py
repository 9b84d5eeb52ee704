"""The queue's end of a template: has it fork workers, and signals and awaits them through it.

All of it is for one thread, and not for a signal handler: a message inside another would be read as neither.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from bench.launch.local.messages import receive, send
from bench.launch.local.worker_handle import Process, environment, last_words


class Template:
    """A process of bench.launch.local.template, which imports torch once and then forks workers."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.connection, self.process = launch(log)
        self.pids: dict[int, int] = {}
        self.statuses: dict[int, int] = {}
        self.count = 0
        self.closed = False  # its end of the connection

    def begin(self, arguments: list[str], stdin: int, events: int, log: int) -> Forked:
        """Have it fork a worker, as soon as it has imported everything. If it ends before, so do these files."""
        self.count += 1
        request = {"verb": "fork", "worker": self.count, "arguments": arguments}
        send(self.connection, request, (stdin, events, log))
        return Forked(self, self.count)

    def has_ended(self) -> bool:
        """Whether the process is gone; its log says why."""
        self._receive(wait=False)
        return self.closed

    def pid(self, worker: int) -> int | None:
        """The process id of a worker; None while it is not forked yet."""
        self._receive(wait=False)
        return self.pids.get(worker)

    def signal(self, worker: int, number: int) -> None:
        """Send a signal to a worker, also to one that is still to be forked."""
        if self.pid(worker) is not None:
            # Its number is its own until it has been awaited
            if worker not in self.statuses:
                with suppress(ProcessLookupError):
                    os.kill(self.pids[worker], number)
        elif not self.closed:
            # It ends a template that imports, and with it all that wait for their fork; one that serves ignores it
            self.process.terminate()
            send(self.connection, {"verb": "signal", "worker": worker, "number": number})

    def wait(self, worker: int) -> int | None:
        """The exit status of a worker, negative for a signal; None if the template ended first, which is to know it."""
        if not self.closed:
            send(self.connection, {"verb": "wait", "worker": worker})
        while worker not in self.statuses and not self.closed:
            self._receive(wait=True)
        return self.statuses.get(worker)

    def last_words(self) -> str:
        """How it ended, for people."""
        code = self.process.wait()
        return last_words(self.log) if code is None or code >= 0 else f"signal {-code}"

    def close(self) -> None:
        """End the process. Workers that are at work go on. An empty log is deleted."""
        self.connection.close()
        self.closed = True
        self.process.terminate()
        self.process.wait()
        if self.log.exists() and not self.log.stat().st_size:
            self.log.unlink(missing_ok=True)

    def _receive(self, *, wait: bool) -> None:
        """Take in the replies that have come; wait: for one, or for the end, at least."""
        while not self.closed and (wait or self._has_more()):
            wait = False
            message = receive(self.connection)
            if message is None:
                self.closed = True
                return
            reply, _ = message
            if "pid" in reply:
                self.pids[reply["worker"]] = reply["pid"]
            else:
                self.statuses[reply["worker"]] = reply["status"]

    def _has_more(self) -> bool:
        """Whether a reply or the end of the connection has come."""
        try:
            self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True


class Forked:
    """A worker's process that a template forks, with what the queue uses of subprocess.Popen."""

    def __init__(self, template: Template, number: int) -> None:
        self.template, self.number = template, number

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is not forked yet."""
        return self.template.pid(self.number)

    def send_signal(self, number: int) -> None:
        """Send it a signal, which it gets even if it is still to be forked."""
        self.template.signal(self.number, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def wait(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal, or None if that cannot be known."""
        return self.template.wait(self.number)


def launch(log: Path) -> tuple[socket.socket, Process]:
    """Start a template whose output goes to a log; the connection to it, and its process."""
    ours, theirs = socket.socketpair()
    with theirs, log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.launch.local.template", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            env=environment(),
        )
    return ours, process
