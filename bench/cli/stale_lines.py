"""What plan, run and submit print about inputs: stale runs, edited code, old records that are kept."""

from __future__ import annotations

from collections import Counter

import click

from bench.launch.progress import counted
from bench.plan.inputs import VERSIONED, made_stale
from bench.plan.runs import other_sources
from bench.plan.schedule import PlannedRun, Schedule
from bench.store.runs import Store


def set_old_aside(plan: Schedule, runs: list[PlannedRun], store: Store) -> None:
    """Move the old folders of --rerun's and of stale runs aside, and print where they are."""
    again = [store.set_aside(run.uid, "bench --rerun") for run in runs if run.uid in plan.again]
    stale = [
        store.set_aside(run.uid, f"stale: {'; '.join(run.changes)}")
        for run in runs
        if run.status == "stale" and run.uid not in plan.again
    ]
    for what, kind, old in (("done again", "finished run", again), ("trained anew", "stale run", stale)):
        if old:
            click.echo(f"{what}: {counted(len(old), kind)}; what was there is kept in {old[0].parent}")


def tell_of_stale(store: Store, prefix: str) -> None:
    """Print the runs that are stale because an input was replaced under its name.

    prefix: the start of that input's name, as `bench data build` and `bench weights import` have it.
    """
    if stale := made_stale(store, prefix):
        click.echo(
            f"{counted(len(stale))} in {store.root} {'is' if len(stale) == 1 else 'are'} stale now: made from "
            f"what was there before; --retry stale trains anew: {', '.join(stale)}"
        )


def tell_of_inputs(plan: Schedule, store: Store) -> None:
    """Print what has changed: stale runs and why, edited code, runs of another source of a plug-in."""
    stale = Counter("; ".join(run.changes) for run in plan.runs if run.status == "stale")
    for changes, count in stale.items():
        click.echo(f"stale: {counted(count, 'run')}: changed since: {changes}; --retry stale trains anew")
    if waiting := plan.waiting_for_stale():
        click.echo(f"{counted(len(waiting), 'run')} not started: the source is stale; --retry stale trains it anew")
    edited = Counter(name for run in plan.runs for name in run.edited)
    for name, count in edited.items():
        meant = "; a version is raised where results change" if VERSIONED in name else ""
        click.echo(f"note: the code of {name}, has changed since {counted(count, 'run')} here trained with it{meant}")
    for name, count in other_sources(plan.runs, store).items():
        click.echo(f"note: {counted(count, 'run')} of another source of '{name}' in the store: not part of this table")
