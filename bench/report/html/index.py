"""The index: every table that there is, what has been run of it at each scale, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.spec.table import Scale


@dataclass(frozen=True)
class ScaleState:
    """A table at a scale: how many runs it has and how many are done, and its cost in words.

    seconds: the cost, to sort by; None where unknown.
    """

    runs: int
    done: int
    cost: str
    seconds: float | None

    @property
    def state(self) -> str:
        """For example "not begun", "12 of 98 done", "done"."""
        if not self.done:
            return "not begun"
        return "done" if self.done == self.runs else f"{self.done} of {self.runs} done"

    @property
    def share(self) -> float:
        """How much of it is done, between 0 and 1."""
        return self.done / self.runs if self.runs else 0.0


@dataclass(frozen=True)
class IndexEntry:
    """A table of the index, at each of its scales. pages: the address of its page, at each scale that has one."""

    name: str
    kind: str
    title: str
    at: Mapping[Scale, ScaleState]
    pages: Mapping[Scale, str]


@dataclass(frozen=True)
class Link:
    """A page of another kind that lies beside the index: its address, its name and what follows the name."""

    address: str
    name: str
    what: str
