"""`bench record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli import completing
from bench.cli.all_tables import every_table
from bench.cli.chosen_results import chosen_results
from bench.cli.made_options import made_options
from bench.cli.options import recorded_root_option, replace_option, table_with
from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.joint import ALL
from bench.plan.runs import make_plan
from bench.plan.waiting import to_come
from bench.store.runs import Store


@click.command()
@click.argument("table", default="table1", shell_complete=completing.tables_or_all)
@click.option("--as", "name", required=True, metavar="NAME", help="The recorded set to write, e.g. mine.")
@recorded_root_option
@replace_option
@made_options
def record(table: str, name: str, root: Path | None, replace: bool, scale: str, store: Store, **choice: Any) -> None:
    """Keep the finished runs of TABLE as part of the recorded set NAME: every seed and snapshot, with its commit.

    Without --rows, every row that has runs is kept, your own rows (--method, project file) among them. What the set
    holds already stays. What is left out is printed. ALL is every table that has finished runs, but for figures of
    pictures: a set keeps scores.

    It has every option of `bench run`. Those that say how work is done (--jobs, --device, --retry, --no-train and so
    on) change nothing: nothing starts here.
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
    from bench.report.making import making_of
    from bench.report.recorded import save_recorded

    if spec.pictures is not None:
        raise UserError(
            f"{spec.name} is a figure of pictures, and a recorded set keeps scores; `bench report {spec.name} --scale "
            f"{scale} --output DIR` writes them"
        )
    frame, every = chosen_results(spec, scale, store, choice)
    # Write the set, then name what is not in it
    making = making_of(map(str, frame["uid"].unique()), store)
    saved = save_recorded(frame, name, spec.name, scale, root, replace=replace, making=making)
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
