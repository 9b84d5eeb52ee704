"""`bench record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.all_tables import every_table
from bench.cli.options import (
    plugin_option,
    recorded_root_option,
    replace_option,
    scale_option,
    selection_options,
    shown_rows,
    store_option,
    table_with,
)
from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.joint import ALL
from bench.plan.runs import make_plan
from bench.plan.waiting import to_come
from bench.store.runs import Store


@click.command()
@click.argument("table", default="table1")
@click.option("--as", "name", required=True, metavar="NAME", help="The recorded set to write, e.g. mine.")
@recorded_root_option
@replace_option
@scale_option
@selection_options
@plugin_option
@store_option
def record(table: str, name: str, root: Path | None, replace: bool, scale: str, store: Store, **choice: Any) -> None:
    """Keep the finished runs of TABLE as part of the recorded set NAME: every seed and snapshot, with its commit.

    Without --rows, every row that has runs is kept, your own rows (--method, project file) among them. What the set
    holds already stays. What is left out is printed. ALL is every table that has finished runs, but for figures of
    pictures: a set keeps scores.
    """
    if table != ALL:
        spec = table_with(table, choice["settings"], choice["methods"], choice["columns"])
        _record(spec, name, root, replace, scale, store, choice)
        return
    every = [spec for spec in every_table(scale, choice) if to_come(spec) is None and spec.same_as is None]
    ready = [spec for spec in every if spec.pictures is None]
    finished = [spec for spec in ready if _has_finished(spec, scale, store, choice)]
    if not finished:
        raise UserError(f"nothing is finished at scale {scale} in {store.root}; `bench status ALL` shows the runs")
    for spec in finished:
        _record(spec, name, root, replace, scale, store, choice)


def _has_finished(spec: Table, scale: str, store: Store, choice: dict[str, Any]) -> bool:
    plan = make_plan(spec, scale, store, None, None, choice["seeds"])
    return any(run.status in ("done", "diverged") and run.cells for run in plan.runs)


def _record(
    spec: Table, name: str, root: Path | None, replace: bool, scale: str, store: Store, choice: dict[str, Any]
) -> None:
    """Keep the finished runs of one table. Raises UserError for a figure of pictures, which has no scores."""
    from bench.report.left_out import left_out
    from bench.report.recorded import save_recorded
    from bench.report.results import load_results

    if spec.pictures is not None:
        raise UserError(
            f"{spec.name} is a figure of pictures, and a recorded set keeps scores; `bench report {spec.name} --scale "
            f"{scale} --output DIR` writes them"
        )
    # All runs of the table, and those among them that the user has named
    named = shown_rows(spec, choice)
    every = load_results(spec, scale, store, seeds=choice["seeds"], asked=named or ())
    frame = every
    if choice["rows"] is not None:
        frame = frame[(frame["kind"] == "reference") | frame["row"].isin(named or ())]
    if choice["columns"] is not None:
        frame = frame[frame["column"].isin([column.id for column in spec.pick_columns(choice["columns"])])]
    # Write the set, then name what is not in it
    saved = save_recorded(frame, name, spec.name, scale, root, replace=replace)
    click.echo(f"wrote {saved.path}: {saved.new} new runs, {saved.replaced} renewed, {saved.kept} kept from before")
    for line in left_out(frame, every, spec, scale, store, choice["seeds"]):
        click.echo(line)
    tell_of_root(saved.path)


def tell_of_root(path: Path, *, err: bool = False) -> None:
    """Say how a set is found that was written to a folder where none is looked for. err: on stderr."""
    from bench.plan.folders import recorded_roots

    folder = path.parent.parent
    if folder.resolve() not in [root.resolve() for root in recorded_roots()]:
        click.echo(f"to compare with it and report it: BENCH_RECORDED={folder}, or `recorded` in a bench.toml", err=err)
