"""A line on stderr every few seconds of a download: how much there is, how fast, how long it will take."""

from __future__ import annotations

import sys
import time

from bench.machine.long_work import EVERY_SECONDS, time_text


class TransferProgress:
    """Of one answer; its rate is that of this answer alone."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done, self._first = name, total, done, done
        self._begun = self._printed = time.monotonic()

    def add(self, count: int) -> None:
        """Count bytes that have come; prints at most every five seconds."""
        self._done += count
        now = time.monotonic()
        if now - self._printed > EVERY_SECONDS:
            self._printed = now
            print(f"  {self.line(now - self._begun)}", file=sys.stderr)

    def line(self, seconds: float) -> str:
        """For example "flowers.tgz: 120.0 of 344.9 MB, 5.2 MB/s, 43 s left"."""
        rate = (self._done - self._first) / seconds
        left = f", {time_text((self._total - self._done) / rate)} left" if rate > 0 else ""
        return f"{self._name}: {self._done / 1e6:,.1f} of {size_text(self._total)}, {rate / 1e6:.1f} MB/s{left}"


def size_text(count: int) -> str:
    """Bytes as megabytes, the smallest as they are."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
