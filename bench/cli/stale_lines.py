"""What plan, run and submit say of inputs: stale runs, edited code, old records that are kept."""

from __future__ import annotations

from collections import Counter

import click

from bench.launch.progress import counted
from bench.plan.inputs import made_stale
from bench.plan.runs import Plan, PlannedRun, other_sources
from bench.store.runs import Store


def set_old_aside(made: Plan, runs: list[PlannedRun], store: Store) -> None:
    """Make room for the runs of --rerun and for stale ones, and say where the old ones are."""
    again = [store.set_aside(run.uid, "bench --rerun") for run in runs if run.uid in made.again]
    stale = [
        store.set_aside(run.uid, f"stale: {'; '.join(run.changes)}")
        for run in runs
        if run.status == "stale" and run.uid not in made.again
    ]
    for what, kind, old in (("done again", "finished run", again), ("trained anew", "stale run", stale)):
        if old:
            click.echo(f"{what}: {counted(len(old), kind)}; what was there is kept in {old[0].parent}")


def tell_of_stale(store: Store, prefix: str) -> None:
    """The runs that something new under an input's name has made stale (`bench data build`, `bench weights import`)."""
    if found := made_stale(store, prefix):
        click.echo(
            f"{counted(len(found))} in {store.root} {'is' if len(found) == 1 else 'are'} stale now: made from "
            f"what was there before; --retry stale trains anew: {', '.join(found)}"
        )


def tell_of_inputs(made: Plan, store: Store) -> None:
    """What is not as it was: stale runs with what changed, edited code, runs of another source of a plug-in."""
    stale = Counter("; ".join(run.changes) for run in made.runs if run.status == "stale")
    for changes, count in stale.items():
        click.echo(f"stale: {counted(count, 'run')}: changed since: {changes}; --retry stale trains anew")
    if waiting := made.waiting_for_stale():
        click.echo(
            f"{counted(len(waiting), 'run')} not started: the source is stale; --retry stale trains it anew"
        )
    edited = Counter(name for run in made.runs for name in run.edited)
    for name, count in edited.items():
        click.echo(
            f"note: the code of {name}, has changed since {counted(count, 'run')} here trained with it"
        )
    for name, count in other_sources(made.runs, store).items():
        click.echo(
            f"note: {counted(count, 'run')} of another source of '{name}' in the store: not part of this table"
        )
