"""A line on stderr every few seconds for builds that take long; quick builds stay silent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
EVERY_SECONDS = 5.0


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass `items` on, and print every five seconds how many have passed and how long the others will take."""
    begun = last = time.monotonic()
    for done, item in enumerate(items):
        if (now := time.monotonic()) - last > EVERY_SECONDS:
            last = now
            left = f", about {time_text((total - done) * (now - begun) / done)} left" if done else ""
            print(f"  {what}: {done:,} of {total:,}{left}", file=sys.stderr)
        yield item


def time_text(seconds: float) -> str:
    """For example "43 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
