"""Whether a run's worker is still at work, as its heartbeat tells."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

HEARTBEAT_SECONDS = 5.0
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
        return time.time() - beat["time"] < 10 * STALE_SECONDS
    return time.time() - beat["time"] < STALE_SECONDS
