"""Live progress of a local queue: a bar and the workers' steps on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.launch.local import Watcher
from bench.plan import PlannedRun

PLAIN_SECONDS = 10.0


class Tally:
    """How much of a list of runs is done, in steps, and how long the rest will take."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        self.total = sum(_steps(run) for run in runs)
        self.runs, self.ended = len(runs), 0
        self.finished_steps = 0
        self.active: dict[str, tuple[PlannedRun, int]] = {}
        self.begin = time.monotonic()

    def started(self, run: PlannedRun) -> None:
        self.active[run.uid] = (run, 0)

    def stepped(self, run: PlannedRun, step: int) -> None:
        self.active[run.uid] = (run, step)

    def over(self, run: PlannedRun) -> None:
        self.active.pop(run.uid, None)
        self.ended += 1
        self.finished_steps += _steps(run)

    @property
    def share(self) -> float:
        """Of all steps, 0 to 1. A run without steps (a reference point) counts as one."""
        return min(
            1.0, (self.finished_steps + sum(step for _, step in self.active.values())) / max(1, self.total)
        )

    def seconds_left(self) -> float | None:
        """From the rate so far; None until a hundredth is done."""
        elapsed = time.monotonic() - self.begin
        return elapsed / self.share - elapsed if self.share > 0.01 else None

    def line(self) -> str:
        """One line: runs done, share, time left."""
        left = self.seconds_left()
        estimate = "estimating the time left" if left is None else f"about {_duration(left)} left"
        return f"{self.ended}/{self.runs} runs, {100 * self.share:.0f} % of the steps, {estimate}"


class Plain:
    """Progress for logs: a line when a run ends and every ten seconds."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        self.tally, self.last = Tally(runs), time.monotonic()

    def started(self, run: PlannedRun) -> None:
        self.tally.started(run)

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        self.tally.stepped(run, step)

    def ended(self, run: PlannedRun, outcome: str) -> None:
        self.tally.over(run)
        if outcome not in ("done",):
            print(f"{outcome}: {run.label}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        if time.monotonic() - self.last >= PLAIN_SECONDS:
            self.last = time.monotonic()
            print(self.tally.line(), file=sys.stderr, flush=True)


class Live(Plain):
    """Progress for a terminal: a bar for the table and a line per worker, redrawn in place."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        from rich.live import Live as RichLive

        super().__init__(runs)
        self.live = RichLive(refresh_per_second=4, transient=True)

    def ended(self, run: PlannedRun, outcome: str) -> None:
        self.tally.over(run)
        if outcome != "done":
            self.live.console.print(f"{outcome}: {run.label}")

    def tick(self) -> None:
        self.live.update(self._picture())

    def _picture(self) -> str:
        width = 40
        filled = int(width * self.tally.share)
        lines = [f"{'━' * filled}{'╌' * (width - filled)} {self.tally.line()}"]
        for run, step in self.tally.active.values():
            lines.append(f"  {run.label}: step {step} of {_steps(run)}")
        return "\n".join(lines)


@contextmanager
def progress(runs: list[PlannedRun]) -> Iterator[Watcher]:
    """The watcher that fits where stderr goes."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        live = Live(runs)
        with live.live:
            yield live
    else:
        yield Plain(runs)


def _steps(run: PlannedRun) -> int:
    return run.spec.train.steps if run.spec.train else 1


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
