"""A worker process of bench.machine.workers: `python -m bench.machine.worker HANDLE` serves the pipe of that number."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection

from bench.machine.workers import serve

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and closes the pipe
    # What decoders print of damaged files would stand between the lines of the parent; errors go through the pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    serve(Connection(int(sys.argv[1])))
