"""Live progress of a local queue: a bar and the workers' steps on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.launch.local.watcher import Watcher
from bench.launch.progress import Plain, Tally, steps_of


class Live(Plain):
    """Progress for a terminal: a bar for the table and a line per worker, redrawn in place."""

    def __init__(self, tally: Tally) -> None:
        from rich.live import Live as RichLive

        super().__init__(tally)
        self.live = RichLive(refresh_per_second=4, transient=True)

    def said(self, text: str) -> None:
        """Print a line above the bar, as it is: brackets are no markup."""
        self.live.console.print(text, markup=False)

    def tick(self) -> None:
        """Draw the bar anew."""
        self.live.update(self._picture())

    def _picture(self) -> str:
        width = 40
        filled = int(width * self.tally.share)
        lines = [f"{'━' * filled}{'╌' * (width - filled)} {self.tally.line()}"]
        for run, step in self.tally.active:
            lines.append(f"  {run.label}" + (f": step {step} of {steps_of(run)}" if run.spec.train else ""))
        return "\n".join(lines)


@contextmanager
def progress(tally: Tally) -> Iterator[Watcher]:
    """The watcher of a queue: live on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        live = Live(tally)
        with live.live:
            yield live
    else:
        yield Plain(tally)
