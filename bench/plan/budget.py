"""Which runs of a plan fit a budget of hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.plan.cost.model import Span
from bench.plan.schedule import PlannedRun


def within_budget(
    runs: Sequence[PlannedRun], spans: Mapping[str, Span | None], hours: float
) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """The runs that fit `hours` together by their expected figures, and those that do not; in the plan's order.

    A run that does not fit leaves its hours to later ones that do. One whose figure is unknown does not fit, and one
    whose source does not fit cannot start.
    """
    within: list[PlannedRun] = []
    beyond: list[PlannedRun] = []
    left, blocked = hours * 3600, set[str]()
    for run in runs:
        span = spans[run.uid]
        if span is None or span.expected > left or blocked & {*run.needs}:
            beyond.append(run)
            blocked.add(run.uid)
        else:
            within.append(run)
            left -= span.expected
    return within, beyond
