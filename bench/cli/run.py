"""`bench plan` and `bench run`."""

from __future__ import annotations

import os
from typing import Any

import click

from bench.cli.options import plugin_option, scale_option, selection_options, store_option, table_with
from bench.errors import UserError
from bench.launch.local import Queue, slots
from bench.launch.once import checkpoint_seconds
from bench.plan import Plan, estimate_cost, make_plan, parse_seeds
from bench.store import Store


@click.command()
@click.argument("table")
@scale_option
@selection_options
@plugin_option
@store_option
def plan(table: str, scale: str, retry: Any, store: Store, **choice: Any) -> None:
    """The runs TABLE needs: status, order, cost, and what would start. Nothing starts."""
    made = _plan(table, scale, store, choice)
    width = max((len(run.label) for run in made.runs), default=0)
    starting = {run.uid for run in made.to_start(retry)}
    for run in made.runs:
        mark = ">" if run.uid in starting else " "
        click.echo(f"{mark} {run.label:<{width}}  {run.status:<11}  {run.uid}")
    _summary(made, store, retry)


@click.command()
@click.argument("table")
@scale_option
@selection_options
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Workers at once [default: one per GPU, or per core]."
)
@plugin_option
@store_option
def run(table: str, scale: str, retry: Any, jobs: int | None, store: Store, **choice: Any) -> int:
    """Train what TABLE is missing, here, with live progress. Interrupt it and run it again: it continues."""
    from bench.cli.progress import progress
    from bench.imageset import load

    checkpoint_seconds()  # refuses a bad setting before anything starts
    made = _plan(table, scale, store, choice)
    _refuse_missing_weights(made)
    todo = made.to_start(retry)
    _summary(made, store, retry)
    if not todo:
        return _leftovers(made)
    _refuse_unwritable(store)
    for name, resolution in sorted({(one.spec.data.name, one.spec.data.resolution) for one in todo}):
        load(name, resolution)  # builds an embedded set once, before workers ask; refuses a missing one
    with progress(todo) as watcher:
        queue = Queue(store, todo, slots(jobs), watcher, choice["plugins"])
        outcomes = queue.work()
    for note in queue.notes:
        click.echo(note, err=True)
    return _conclude(made, outcomes, store)


def _plan(table: str, scale: str, store: Store, choice: dict[str, Any]) -> Plan:
    spec = table_with(table, choice["settings"])
    rows = choice["rows"]
    if choice["methods"]:
        spec = spec.with_methods(choice["methods"])
        rows = [*(rows or []), *choice["methods"]]
    seeds = parse_seeds(choice["seeds"]) if choice["seeds"] is not None else None
    return make_plan(spec, scale, store, rows, choice["columns"], seeds)


def _summary(made: Plan, store: Store, retry: Any) -> None:
    counts = ", ".join(f"{number} {status}" for status, number in sorted(made.counts().items()))
    cost = estimate_cost(made, store, retry)
    starting = len(made.to_start(retry))
    line = f"{made.table.name} at scale {made.scale}: {len(made.runs)} runs ({counts}); {starting} to start"
    if starting and cost.seconds is not None and cost.disk_bytes is not None:
        line += f", about {cost.seconds / 60:.1f} worker-minutes and {cost.disk_bytes / 1e6:.0f} MB"
        line += f" (from {cost.measured_on} finished runs)"
    elif starting:
        line += "; no finished run of this kind to estimate the time from"
    click.echo(line)
    for hint in made.table.at(made.scale).cost:
        click.echo(f"cost: {hint}")
    for name, path in made.missing_weights().items():
        click.echo(f"missing weights: {name} (put them at {path})")


def _refuse_missing_weights(made: Plan) -> None:
    missing = made.missing_weights()
    if missing:
        name, path = next(iter(missing.items()))
        raise UserError(
            f"{made.table.name} at scale {made.scale} needs the weights '{name}': put them at {path}, "
            "or set BENCH_WEIGHTS; --rows picks rows that need none"
        )


def _refuse_unwritable(store: Store) -> None:
    """Before data sets are built for minutes: can runs be kept at all?"""
    place = store.root.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise UserError(
            f"store {store.root}: {place} is no folder that can be written to; name another by --store"
        )


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
        + (f", {len(left)} left: run the same command to continue" if left else "")
    )
    if left:
        return 130
    return 1 if any(outcome in ("failed", "blocked") for outcome in outcomes.values()) else 0
