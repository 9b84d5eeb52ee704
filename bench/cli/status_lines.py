"""How the standing of runs is shown: plain lines for pipes, a table for terminals."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.launch.progress import counted, duration
from bench.launch.slurm.status import RunStatus, State

QUIET = ("done", "planned", "queued")  # counted, listed only when asked for
BAD, UNSURE = "red", "yellow"
COLOURS = {
    "running": "green", "failed": BAD, "lost": BAD, "diverged": BAD, "stale": BAD, "requeued": UNSURE, "held": UNSURE,
}  # fmt: skip
FRAME = 6  # lines of a terminal that the table's head, the counts and the last line need


def lines(found: list[RunStatus], silent: str | None, *, everything: bool, ids: bool = False) -> list[str]:
    """Plain text: one line per run that is worth one, then the counts."""
    listed = _listed(found, everything)
    width = max((len(one.label) for one in listed), default=0)
    widest = max((len(one.uid) for one in listed), default=0)
    body = [
        "  ".join(
            [f"{one.label:<{width}}", *([f"{one.uid:<{widest}}"] if ids else []), f"{one.state:<11}",
             *filter(None, _facts(one))]
        ).rstrip()
        for one in listed
    ]  # fmt: skip
    return [*body, *_summary(found, silent)]


def picture(
    found: list[RunStatus], silent: str | None, *, height: int, everything: bool, ids: bool = False
) -> RenderableType:
    """The same as a table that fits into `height` lines; what does not fit is counted."""
    listed = _listed(found, everything)
    room = max(1, height - FRAME)
    table = Table(box=None, pad_edge=False)
    for name in ("run", *(["id"] if ids else []), "state", "step", "left", "node", ""):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for one in listed[:room]:
        table.add_row(
            one.label, *([one.uid] if ids else []), Text(one.state, COLOURS.get(one.state, "")), *_facts(one)
        )
    more = [f"and {len(listed) - room} more"] if len(listed) > room else []
    return Group(table, *(Text(line) for line in [*more, *_summary(found, silent)]))


def _facts(one: RunStatus) -> tuple[str, str, str, str]:
    """Step and rate, time left, node, detail."""
    step = left = ""
    if one.steps and one.state not in ("done", "planned"):
        step = f"step {one.step} of {one.steps}" + (f", {one.rate:.2f}/s" if one.rate else "")
    if one.seconds_left is not None:
        left = f"{duration(one.seconds_left)} left"
    return step, left, one.node if one.state in ("running", "queued") else "", one.detail


def _listed(found: list[RunStatus], everything: bool) -> list[RunStatus]:
    """What needs eyes first: failures, then what is at work."""
    order = {
        "failed": 0,
        "lost": 1,
        "diverged": 2,
        "stale": 2,
        "cancelled": 3,
        "interrupted": 4,
        "held": 5,
        "requeued": 6,
    }
    chosen = [one for one in found if everything or one.state not in QUIET]
    return sorted(chosen, key=lambda one: order.get(one.state, 7 if one.state == "running" else 8))


def _summary(found: list[RunStatus], silent: str | None) -> list[str]:
    counts = Counter(one.state for one in found)
    words = [f"{counts[word]} {word}" for word in get_args(State) if counts[word]]
    told = [f"{counted(len(found))}: {', '.join(words)}"]
    left = [one.seconds_left for one in found if one.seconds_left is not None]
    if left:
        told[0] += f"; the runs at work end within {duration(max(left))}"
    if silent is not None:
        told.append(f"the cluster does not answer ({silent}): this is what the store knows")
    return told
