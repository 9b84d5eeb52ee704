"""`bench plan` and `bench run`."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.options import (
    plugin_option,
    scale_option,
    selection_options,
    starting_options,
    store_option,
)
from bench.cli.planning import (
    build_data,
    plan_of,
    refuse_missing_weights,
    refuse_unwritable,
    set_finished_aside,
    summarise,
)
from bench.estimate import Estimates
from bench.launch.local import Queue
from bench.launch.once import checkpoint_seconds
from bench.launch.room import Room
from bench.launch.workers import slots
from bench.plan import Plan
from bench.store import Store


@click.command()
@click.argument("table")
@scale_option
@selection_options
@starting_options
@plugin_option
@store_option
def plan(table: str, scale: str, retry: Any, store: Store, **choice: Any) -> None:
    """The runs TABLE needs: status, order, cost, and what would start. Nothing starts."""
    made = plan_of(table, scale, store, choice)
    width = max((len(run.label) for run in made.runs), default=0)
    starting = {run.uid for run in made.to_start(retry)}
    for run in made.runs:
        mark = ">" if run.uid in starting else " "
        click.echo(f"{mark} {run.label:<{width}}  {run.status:<11}  {run.uid}")
    summarise(made, store, retry)


@click.command()
@click.argument("table")
@scale_option
@selection_options
@starting_options
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Workers at once [default: one per GPU, or per core]."
)
@plugin_option
@store_option
def run(table: str, scale: str, retry: Any, jobs: int | None, store: Store, **choice: Any) -> int:
    """Train what TABLE is missing, here, with live progress. Interrupt it and run it again: it continues."""
    from bench.cli.progress import progress

    checkpoint_seconds()  # refuses a bad setting before anything starts
    made = plan_of(table, scale, store, choice)
    refuse_missing_weights(made)
    todo = made.to_start(retry)
    summarise(made, store, retry)
    if not todo:
        return _leftovers(made)
    refuse_unwritable(store)
    build_data(todo)
    known = Estimates.measured(store, todo)
    set_finished_aside(made, todo, store)
    with progress(todo) as watcher:
        room = Room(known.memory, known.gpu_memory)
        for one in todo:
            store.folder(one.uid).hand_out()
        queue = Queue(store, todo, slots(jobs), watcher, choice["plugins"], room=room)
        outcomes = queue.work()
    for note in queue.notes:
        click.echo(note, err=True)
    return _conclude(made, outcomes, store)


def _leftovers(made: Plan) -> int:
    failed = [one for one in made.runs if one.status == "failed"]
    if failed:
        click.echo(f"{len(failed)} runs have failed before; --retry failed starts them again", err=True)
    return 1 if failed else 0


def _conclude(made: Plan, outcomes: dict[str, str], store: Store) -> int:
    by_uid = {one.uid: one for one in made.runs}
    for uid, outcome in outcomes.items():
        if outcome in ("failed", "blocked", "diverged"):
            reason = store.folder(uid).error() if outcome == "failed" else ""
            click.echo(f"{outcome}: {by_uid[uid].label} ({uid}) {reason or ''}".rstrip(), err=True)
    left = [one for one in made.runs if outcomes.get(one.uid) == "stopped" or
            (one.uid not in outcomes and one.status in ("planned", "interrupted", "lost"))]  # fmt: skip
    finished = sum(outcome in ("done", "diverged") for outcome in outcomes.values())
    click.echo(
        f"{finished} runs finished"
        + (
            f", {len(left)} left: run the same command{' without --rerun' if made.again else ''} to continue"
            if left
            else ""
        )
    )
    if left:
        return 130
    return 1 if any(outcome in ("failed", "blocked") for outcome in outcomes.values()) else 0
