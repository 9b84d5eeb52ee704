"""How far a list of runs has come and how long the rest will take, as plain lines for logs."""

from __future__ import annotations

import sys
import time

from bench.plan import PlannedRun

PLAIN_SECONDS = 10.0


class Tally:
    """How much of a list of runs is done, in steps, and how long the rest will take."""

    def __init__(self, runs: list[PlannedRun]) -> None:
        self.total = sum(steps_of(run) for run in runs)
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
        self.finished_steps += steps_of(run)

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
        estimate = "estimating the time left" if left is None else f"about {duration(left)} left"
        return f"{self.ended}/{self.runs} runs, {100 * self.share:.0f} % of the steps, {estimate}"


class Plain:
    """Progress for logs: a line when a run ends badly, and one every so many seconds."""

    def __init__(self, runs: list[PlannedRun], seconds: float = PLAIN_SECONDS) -> None:
        self.tally, self.last, self.seconds = Tally(runs), time.monotonic(), seconds

    def started(self, run: PlannedRun) -> None:
        self.tally.started(run)

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        self.tally.stepped(run, step)

    def ended(self, run: PlannedRun, outcome: str) -> None:
        self.tally.over(run)
        if outcome not in ("done",):
            print(f"{outcome}: {run.label}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        if time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            print(self.tally.line(), file=sys.stderr, flush=True)


def steps_of(run: PlannedRun) -> int:
    """Training steps; a run without any (a reference point) counts as one."""
    return run.spec.train.steps if run.spec.train else 1


def duration(seconds: float) -> str:
    """Seconds as people say them: 3 h 05 min, 4 min 07 s, 12 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
