"""A worker process of bench.machine.workers: `python -m bench.machine.worker HANDLE` serves the pipe of that number."""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection

from bench.machine.workers import serve

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and closes the pipe
    serve(Connection(int(sys.argv[1])))
