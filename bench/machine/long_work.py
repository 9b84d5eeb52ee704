"""Progress of long work on stderr: a bar on a terminal, a line every few seconds elsewhere; quick work stays silent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
EVERY_SECONDS = 5.0
REDRAWN_SECONDS = 0.5  # on a terminal
WIDTH = 30  # of the bar, in letters
ERASE = "\r\x1b[K"  # back to the beginning of the line, and nothing on it


class Passed:
    """Counts what has passed of a total, and says now and then how much, and how long the rest will take.

    what: what is counted; "" says nothing. On a terminal a bar is redrawn in place, and `end` takes it away.
    """

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._begun = self._last = time.monotonic()
        self._drawn = False
        self._terminal = sys.stderr.isatty()

    def add(self, count: int) -> None:
        """So many more have passed."""
        self.tell()
        self._done += count

    def tell(self) -> None:
        """Print, if it is time to."""
        every = REDRAWN_SECONDS if self._terminal else EVERY_SECONDS
        if (now := time.monotonic()) - self._last <= every or not self._what:
            return
        self._last = now
        seconds = (self._total - self._done) * (now - self._begun) / self._done if self._done else 0
        left = f", about {time_text(seconds)} left" if self._done else ""
        text = f"{self._done:,} of {self._total:,}{left}"
        if self._terminal:
            print(f"{ERASE}  {self._what}: {_bar(self._done, self._total)} {text}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        else:
            print(f"  {self._what}: {text}", file=sys.stderr)

    def end(self) -> None:
        """Take the bar away, where one was drawn."""
        if self._drawn:
            print(ERASE, end="", file=sys.stderr, flush=True)
            self._drawn = False


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Pass `items` on, and say now and then how many have passed and how long the others will take."""
    passed = Passed(total, what)
    try:
        for item in items:
            passed.add(1)
            yield item
    finally:
        passed.end()


def time_text(seconds: float) -> str:
    """For example "43 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _bar(done: int, total: int) -> str:
    filled = WIDTH * done // max(1, total)
    return "━" * filled + "╌" * (WIDTH - filled)
