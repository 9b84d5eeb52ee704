"""Whether a run's worker is still at work, judged by its heartbeat."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 5.0  # between two beats
STALE_SECONDS = 120.0  # a heartbeat of another host that is older than this counts as lost


def is_alive(beat: dict[str, Any]) -> bool:
    """Whether the process behind a heartbeat can still be at work."""
    if beat["host"] == socket.gethostname():
        try:
            os.kill(beat["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        if _has_ended(beat["pid"]):
            return False
        # The process may be another one with the same id: it counts while the last beat is under 20 minutes old.
        return time.time() - beat["time"] < 10 * STALE_SECONDS
    return time.time() - beat["time"] < STALE_SECONDS


def _has_ended(pid: int) -> bool:
    """Whether a process has ended and its parent has not asked how (Linux): its id is still taken, and answers signals.

    Killed with all of its group, a worker waits for process 1 to ask; in many containers that never does.
    """
    with suppress(OSError):
        # After the program's name, which may have brackets and spaces in it
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "ZX"
    return False
