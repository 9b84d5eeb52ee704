"""A line on stderr every few seconds for builds that take long; quick builds stay silent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
EVERY_SECONDS = 5.0


class Passed:
    """Counts what has passed of a total, and prints every five seconds how much, and how long the rest will take."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._begun = self._last = time.monotonic()

    def add(self, count: int) -> None:
        """So many more have passed."""
        self.tell()
        self._done += count

    def tell(self) -> None:
        """Print, if it is time to."""
        if (now := time.monotonic()) - self._last <= EVERY_SECONDS:
            return
        self._last = now
        seconds = (self._total - self._done) * (now - self._begun) / self._done if self._done else 0
        left = f", about {time_text(seconds)} left" if self._done else ""
        print(f"  {self._what}: {self._done:,} of {self._total:,}{left}", file=sys.stderr)


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass `items` on, and print every five seconds how many have passed and how long the others will take."""
    passed = Passed(total, what)
    for item in items:
        passed.add(1)
        yield item


def time_text(seconds: float) -> str:
    """For example "43 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
