"""Whether a run's worker is at work, by processes that are there, that have ended, and that nobody has waited for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from bench.store.liveness import is_alive


def beat(pid, age=0.0, host=None):
    return {"host": host or socket.gethostname(), "pid": pid, "time": time.time() - age}


def test_a_worker_that_was_killed_is_not_at_work_though_nobody_has_waited_for_it(wait_until):
    """As in a container whose process 1 waits for no orphans: their ids stay, and take signals."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert is_alive(beat(worker.pid)) and not is_alive(beat(worker.pid, age=3600))
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(beat(worker.pid)), 20)
    os.kill(worker.pid, 0)  # it is still there
    worker.wait()
    assert not is_alive(beat(worker.pid))


def test_of_another_host_only_the_age_of_its_heartbeat_counts():
    assert is_alive(beat(1, host="elsewhere")) and not is_alive(beat(1, age=600, host="elsewhere"))
