"""Functions that worker processes are given in tests: they must be importable there too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from bench.errors import UserError


def process_of(number: int) -> int:
    """The process that this runs in."""
    return os.getpid()


def slow_process_of(number: int) -> int:
    """The same, after a while."""
    time.sleep(0.1)
    return os.getpid()


def refuses_forty(number: int) -> int:
    """UserError for 40, any other number as it is."""
    if number == 40:
        raise UserError("40 is refused", ["its details"])
    return number


def killed_at_seventy(number: int) -> int:
    """The end of the process at 70, as the kernel ends one that takes too much memory."""
    if number == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def processes_of(numbers: Sequence[int]) -> list[int]:
    """The process that this runs in, for each."""
    return [os.getpid()] * len(numbers)
