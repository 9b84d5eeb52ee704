"""The C library's heap: memory that a training step frees is kept for its next one.

Otherwise a step's larger tensors are asked of the system and given back to it each time, and the system clears every
page of them: a quarter of the CPU time where maps have 30 MB and more (docs/speed.md). Results do not depend on it.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # mallopt's numbers (malloc.h)


def keep_freed_memory() -> None:
    """From here on this process keeps what it frees, until `give_back_freed_memory`. Only glibc can be told."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(MMAP_MAX, 0)  # large blocks come from the heap too
        libc.mallopt(TRIM_THRESHOLD, -1)  # whose end is never given back unasked


def give_back_freed_memory() -> None:
    """Give back what is freed: what comes next neither hides behind it nor is measured with it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
