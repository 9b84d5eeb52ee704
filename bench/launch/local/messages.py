"""Messages between a queue and its template: JSON over a Unix socket, with open files."""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

HEAD = struct.Struct("!I")  # the length of the JSON that follows; the files come with it
MOST_FILES = 3


def send(connection: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> bool:
    """Send a message and duplicates of open files; False if nobody is at the other end."""
    body = json.dumps(message).encode()
    carried = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    try:
        connection.sendmsg([HEAD.pack(len(body))], carried)
        connection.sendall(body)
    except ConnectionError:
        return False
    return True


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message, waited for, and the descriptors of its files; None once the other end is closed."""
    try:
        head, files, _, _ = socket.recv_fds(connection, HEAD.size, MOST_FILES, socket.MSG_CMSG_CLOEXEC)
        head += _exactly(connection, HEAD.size - len(head)) if head else b""
        body = _exactly(connection, HEAD.unpack(head)[0]) if head else b""
    except ConnectionError:
        return None
    return (json.loads(body), files) if body else None


def _exactly(connection: socket.socket, count: int) -> bytes:
    """So many bytes; ConnectionError if the other end is closed before."""
    parts = bytearray()
    while len(parts) < count:
        if not (part := connection.recv(count - len(parts))):
            raise ConnectionError("closed in the middle of a message")
        parts += part
    return bytes(parts)
