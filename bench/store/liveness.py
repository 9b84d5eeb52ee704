"""Whether a run's worker is still at work, judged by its heartbeat."""

from __future__ import annotations

import os
import socket
import time
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
        # The process may be another one with the same id: it counts while the last beat is under 20 minutes old.
        return time.time() - beat["time"] < 10 * STALE_SECONDS
    return time.time() - beat["time"] < STALE_SECONDS
