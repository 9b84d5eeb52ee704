"""How the status of runs is shown: plain lines for pipes, a table for terminals."""

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


def lines(statuses: list[RunStatus], silent: str | None, *, everything: bool, ids: bool = False) -> list[str]:
    """Plain text: a line for each listed run, then the counts."""
    listed = _listed(statuses, everything)
    width = max((len(status.label) for status in listed), default=0)
    widest = max((len(status.uid) for status in listed), default=0)
    body = [
        "  ".join(
            [f"{status.label:<{width}}", *([f"{status.uid:<{widest}}"] if ids else []), f"{status.state:<11}",
             *filter(None, _facts(status))]
        ).rstrip()
        for status in listed
    ]  # fmt: skip
    return [*body, *_summary(statuses, silent)]


def picture(
    statuses: list[RunStatus], silent: str | None, *, height: int, everything: bool, ids: bool = False
) -> RenderableType:
    """The same as a table that fits into `height` lines of a terminal; runs that do not fit are counted."""
    listed = _listed(statuses, everything)
    room = max(1, height - FRAME)
    table = Table(box=None, pad_edge=False)
    for name in ("run", *(["id"] if ids else []), "state", "step", "left", "node", ""):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for status in listed[:room]:
        table.add_row(
            status.label,
            *([status.uid] if ids else []),
            Text(status.state, COLOURS.get(status.state, "")),
            *_facts(status),
        )
    more = [f"and {len(listed) - room} more"] if len(listed) > room else []
    return Group(table, *(Text(line) for line in [*more, *_summary(statuses, silent)]))


def _facts(status: RunStatus) -> tuple[str, str, str, str]:
    """The last columns of a run: step and rate, time left, node, detail; "" where there is nothing."""
    step = left = ""
    if status.steps and status.state not in ("done", "planned"):
        step = f"step {status.step} of {status.steps}" + (f", {status.rate:.2f}/s" if status.rate else "")
    if status.seconds_left is not None:
        left = f"{duration(status.seconds_left)} left"
    over = status.state in ("done", "planned", "diverged")
    detail = "; ".join(filter(None, [status.detail, None if over else status.retry]))
    return step, left, status.node if status.state in ("running", "queued") else "", detail


def _listed(statuses: list[RunStatus], everything: bool) -> list[RunStatus]:
    """The runs to list, those that need attention first: failures, then what is at work."""
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
    chosen = [status for status in statuses if everything or status.state not in QUIET]
    return sorted(chosen, key=lambda status: order.get(status.state, 7 if status.state == "running" else 8))


def _summary(statuses: list[RunStatus], silent: str | None) -> list[str]:
    counts = Counter(status.state for status in statuses)
    words = [f"{counts[word]} {word}" for word in get_args(State) if counts[word]]
    sentences = [f"{counted(len(statuses))}: {', '.join(words)}"]
    left = [status.seconds_left for status in statuses if status.seconds_left is not None]
    if left:
        sentences[0] += f"; the runs at work end within {duration(max(left))}"
    if silent is not None:
        sentences.append(f"the cluster does not answer ({silent}): this is what the store knows")
    return sentences
