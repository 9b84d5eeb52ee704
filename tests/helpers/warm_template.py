"""A template of workers that need not import anything: a fork of the process of tests/fork_server.py."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from bench.launch.local.messages import send
from bench.launch.local.worker_handle import Process, environment


def address(server: int) -> str:
    """The abstract socket of a fork server, by its process id."""
    return f"\0bench-fork-server-{server}"


class NobodysChild:
    """The template's process: not this one's child, it ends with its connection."""

    pid = None

    def send_signal(self, number: int, /) -> None:
        """It would ignore it."""

    def terminate(self) -> None:
        """It would ignore it."""

    def wait(self) -> int | None:
        """How it ends is not known here."""
        return None


def launch_from(server: int) -> Callable[[Path], tuple[socket.socket, Process]]:
    """What takes the place of bench.launch.local.template_handle.launch."""

    def launch(log: Path) -> tuple[socket.socket, Process]:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address(server))
        send(connection, {"folder": str(Path.cwd()), "environment": environment()})
        return connection, NobodysChild()

    return launch
