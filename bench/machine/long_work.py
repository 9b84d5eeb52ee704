"""A line on stderr every few seconds for builds that take long; quick builds stay silent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
EVERY_SECONDS = 5.0


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass `items` on, and print the progress every five seconds."""
    last = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last > EVERY_SECONDS:
            last = time.monotonic()
            print(f"  {what}: {done:,} of {total:,}", file=sys.stderr)
        yield item
