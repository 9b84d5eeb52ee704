"""What `plan`, `run` and `submit` say of time: what a plan costs, on which card, and what a budget leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from bench.launch.progress import counted
from bench.plan.budget import within_budget
from bench.plan.cost.model import USUAL, Card, Span, card_of
from bench.plan.estimate import Cost
from bench.plan.schedule import PlannedRun

Function = TypeVar("Function", bound=Callable[..., Any])
MOST_NAMED = 10  # runs that a line names one by one
ON_CARDS = ("midi", "paper")  # the scales whose hours are a card's


def card_option(function: Function) -> Function:
    """--card: the card that hours of a GPU are for."""
    return click.option(
        "--card", default=USUAL, show_default=True, metavar="NAME", callback=lambda ctx, param, value: card_of(value),
        help="The GPU that the hours of --scale midi and paper are for: h100 or 2080ti.",
    )(function)  # fmt: skip


def budget_option(function: Function) -> Function:
    """--budget: how many hours may be started."""
    return click.option(
        "--budget", type=click.FloatRange(min=0, min_open=True), metavar="HOURS",
        help="Start only runs that are expected to take so many hours together, of one worker or GPU; name the rest. "
        "A plan says whether all of them fit.",
    )(function)  # fmt: skip


def card_for(scale: str, card: Card) -> Card | None:
    """The card that a scale's trainings are estimated for; None where they run on a CPU."""
    return card if scale in ON_CARDS else None


def cost_words(cost: Cost, card: Card | None) -> str:
    """What the runs that are to start cost, as the end of a line: ", about 12.0 worker-minutes (...)"."""
    known, unknown = cost.known, sum(span is None for span in cost.spans.values())
    if known is None:
        return "; nothing is known to estimate the time from"
    words = f", about {_time(known, 'worker-' if card is None else f'{card.name} ')}"
    if known.low < known.high:
        words += f" (low {_figure(known.low, known)}, high {_figure(known.high, known)})"
    words += f" and {cost.disk_bytes / 1e6:.0f} MB" if cost.disk_bytes is not None else ""
    if unknown:
        words += f" without {counted(unknown)} of which nothing is known"
    return words + f" ({_source(cost, card)})"


def _source(cost: Cost, card: Card | None) -> str:
    """What the figures rest on, and whether they are of another number of steps."""
    runs = [counted(number, f"{what} run") for number, what in
            ((cost.measured_on, "finished"), (cost.paced_on, "unfinished")) if number]  # fmt: skip
    stored = f"from {' and '.join(runs)}" if runs else ""
    if card is not None:
        return f"{stored}, else by the model of docs/cost.md" if stored else "by the model of docs/cost.md"
    own = "the table's own figure" if cost.by_table else "of what trains nothing, at most"
    return (stored or own) + (", scaled to the number of steps" if cost.scaled else "")


def _time(span: Span, unit: str) -> str:
    return f"{_figure(span.expected, span)} {unit}{'minutes' if _in_minutes(span) else 'hours'}"


def _figure(seconds: float, span: Span) -> str:
    """Seconds in the unit that suits a span."""
    return f"{seconds / 60:.1f}" if _in_minutes(span) else hours_words(seconds)


def _in_minutes(span: Span) -> bool:
    return span.expected < 10 * 3600


def hours_words(seconds: float) -> str:
    """Seconds as hours: "0.25", "8.8", "4,263"."""
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2g}"


def keep_to_budget(runs: Sequence[PlannedRun], cost: Cost, hours: float | None) -> list[PlannedRun]:
    """The runs that fit --budget; a line names the others with their hours, or says that all fit.

    All of them without a budget.
    """
    if hours is None:
        return list(runs)
    within, beyond = within_budget(runs, cost.spans, hours)
    if beyond:
        click.echo(_beyond_words(beyond, cost.spans, hours))
    elif within:
        click.echo(f"within --budget {hours:g}: {_together(within, cost.spans)}")
    return within


def _beyond_words(beyond: Sequence[PlannedRun], spans: Mapping[str, Span | None], hours: float) -> str:
    def own(run: PlannedRun) -> str:
        span = spans[run.uid]
        return "unknown" if span is None else f"{hours_words(span.expected)} h"

    named = ", ".join(f"{run.label} ({own(run)})" for run in beyond[:MOST_NAMED])
    more = f" and {len(beyond) - MOST_NAMED} more" if len(beyond) > MOST_NAMED else ""
    return f"left out by --budget {hours:g}: {_together(beyond, spans)}: {named}{more}"


def _together(runs: Sequence[PlannedRun], spans: Mapping[str, Span | None]) -> str:
    known = sum(span.expected for run in runs if (span := spans[run.uid]) is not None)
    return f"{counted(len(runs))}, {hours_words(known)} h together"
