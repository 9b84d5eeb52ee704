"""Which tables `bench report` shows, and the report of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import report_pictures
from bench.cli.all_tables import every_table, settable
from bench.cli.options import shown_rows, table_with
from bench.errors import UserError
from bench.plan.joint import ALL
from bench.plan.waiting import to_come
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.plan.expand import Table
    from bench.plan.store_view import StoreView
    from bench.report.claims.scores import Load
    from bench.report.model import TableReport


def report_of(spec: Table, scale: Any, store: Store, recorded: str | None, load: Load,
              choice: Mapping[str, Any]) -> tuple[Table, TableReport]:  # fmt: skip
    """The report of the chosen rows, columns and seeds of a table, and the table with the rows of kept pictures."""
    from bench.report.build import build_report
    from bench.report.fold import Asked
    from bench.report.left_out import not_shown
    from bench.report.picture_rows import of_other_protocols, with_pictures
    from bench.report.results import load_results

    # What to show: rows, columns and seeds
    spec = with_pictures(spec, scale, recorded)
    seeds, named = choice["seeds"], shown_rows(spec, choice)
    columns = None if choice["columns"] is None else [column.id for column in spec.pick_columns(choice["columns"])]
    if seeds is not None:  # cells are whole when these seeds are done
        spec = spec.with_seeds(len(seeds))
    # The report, with notes on runs that it leaves out
    results = load_results(spec, scale, store, recorded, seeds=seeds, asked=named or ())
    only = named if choice["rows"] is not None else None
    table_report = build_report(spec, scale, results, Asked(only, columns, choice["metrics"]), load)
    left_out = (*not_shown(results, spec, scale, store, seeds), *of_other_protocols(spec, scale, recorded))
    figure = report_pictures.figure(table_report, spec, store, seeds)
    return spec, replace(table_report, notes=(*table_report.notes, *left_out), figure=figure)


def chosen_tables(names: tuple[str, ...], store: Store, scale: str, choice: Mapping[str, Any]) -> list[Table]:
    """The named tables, or every table that has a run in the store."""
    from bench.plan.load import table_names
    from bench.plan.runs import make_plan
    from bench.plan.store_view import StoreView

    if not names and (choice["rows"] is not None or choice["columns"] is not None):
        raise UserError(
            "--rows and --columns are of a table: name it, for example `bench report table1 --rows scratch`"
        )
    if ALL in names:
        return every_table(scale, choice)
    chosen = choice["settings"], choice["methods"], choice["columns"]
    if names:
        return [table_with(name, *chosen) for name in names]
    tables = settable(table_names(), *chosen, scale=scale)
    ready = [spec for spec in tables if scale in spec.scales and to_come(spec) is None]
    view = StoreView(store)
    have = [spec for spec in ready if _has_runs(make_plan, spec, scale, view, choice)]
    if not have:
        raise UserError(f"no table has runs at scale {scale} in {store.root}; `bench run table1` makes some")
    return have


def show_printed(spec: Table, measure: str, style: str | None, output: Path | None) -> None:
    """Show or write the printed numbers of a table that waits for a measure: as CSV, else as text in every style."""
    from bench.files import atomic
    from bench.report.printed import recorded_csv
    from bench.report.render.printed_text import printed_alone

    text = printed_alone(spec, measure)
    if output is not None:
        path = output / f"{spec.name.replace('/', '-')}-printed.txt"
        atomic.write_text(path, text)
        click.echo(f"wrote {path}")
    if style != "json" and (output is None or style is not None):
        click.echo(recorded_csv(spec.name) if style == "csv" else text, nl=style != "csv")


def _has_runs(make_plan: Any, spec: Table, scale: str, view: StoreView, choice: Mapping[str, Any]) -> bool:
    rows = [row.id for row in spec.rows if row.printed_only is None and spec.fits(row, scale)]
    plan = make_plan(spec, scale, view, rows, None, choice["seeds"])
    return any(run.status != "planned" for run in plan.runs)
