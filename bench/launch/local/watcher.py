"""Whatever shows the progress of a queue: a terminal, a log."""

from __future__ import annotations

from typing import Protocol

from bench.plan.schedule import PlannedRun


class Watcher(Protocol):
    """The calls that the queue makes to whatever shows progress."""

    def started(self, run: PlannedRun) -> None:
        """A worker has begun the run."""
        ...

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        """The run has made `step` of its `steps` steps."""
        ...

    def ended(self, run: PlannedRun, outcome: str) -> None:
        """The run has left the queue; the outcome is one of bench.run.settings."""
        ...

    def said(self, text: str) -> None:
        """A line for people, such as that a worker died."""
        ...

    def tick(self) -> None:
        """Time has passed: called several times a second."""
        ...
