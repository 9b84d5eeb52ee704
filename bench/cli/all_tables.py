"""ALL in place of a table: every table that ships, what they share, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from bench.cli.options import table_with
from bench.errors import UserError
from bench.launch.progress import counted
from bench.plan.expand import Table
from bench.plan.joint import ALL, JointPlan
from bench.plan.load import table_names
from bench.plan.schedule import Schedule


def every_table(scale: str, choice: Mapping[str, Any]) -> list[Table]:
    """Every table that ships and has a scale, with the --set of `selection_options`.

    Raises UserError for choices that go with the name of one table.
    """
    for name, option in (("rows", "--rows"), ("columns", "--columns"), ("methods", "--method")):
        if choice[name]:
            raise UserError(f"{option} is of one table: name it in place of {ALL}, for example `bench plan table1`")
    return [table for table in settable(table_names(), choice["settings"], scale=scale) if scale in table.scales]


def settable(
    names: Sequence[str],
    settings: Sequence[str],
    methods: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    scale: str | None = None,
) -> list[Table]:
    """The tables that --set fits; the others are named on stderr. Raises UserError where it fits none.

    scale: the only one that is used of them (`load_table`).
    """
    tables, refused = [], dict[str, UserError]()
    for name in names:
        try:
            tables.append(table_with(name, settings, methods, columns, scale))
        except UserError as error:
            if not settings:
                raise
            refused[name] = error
    if refused and not tables:
        raise next(iter(refused.values()))
    for name, reason in refused.items():
        click.echo(f"left out: {name}, as {reason}", err=True)
    return tables


def tell_of_tables(plan: JointPlan, retry: Any, sent: Mapping[str, str]) -> None:
    """Print each table's runs by status, and how many trainings serve how many cells.

    sent: uid -> status of the runs that a cluster has.
    """
    width = max(len(part.name) for part in plan.parts)
    for part in plan.parts:
        counts = ", ".join(f"{number} {status}" for status, number in sorted(part.counts(sent).items()))
        starting = [run for run in part.to_start(retry) if run.uid not in sent]
        click.echo(f"{part.name:<{width}}  {counted(len(part.runs))} ({counts}); {len(starting)} to start")
    if plan.same:
        click.echo(f"the same runs: {', '.join(f'{name} = {other}' for name, other in plan.same.items())}")
    tell_of_waiting(plan)
    sharing = plan.sharing()
    evaluations = f" and {counted(sharing.evaluations, 'evaluation')}" if sharing.evaluations else ""
    click.echo(
        f"{counted(sharing.trainings, 'training')}{evaluations} a seed, {counted(sharing.cells, 'cell')}; "
        f"{sharing.shared} serve more than one table"
    )


def tell_of_waiting(plan: Schedule) -> None:
    """Name the tables that are left out of ALL, in one line."""
    if isinstance(plan, JointPlan) and plan.waiting:
        listed = ", ".join(f"{name} ({measure})" for name, measure in plan.waiting.items())
        click.echo(f"left out, as they wait for a measure: {listed}")
