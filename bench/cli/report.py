"""`bench report`, `bench compare` and `bench recorded`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import report_pictures
from bench.cli.all_tables import every_table, settable
from bench.cli.options import (
    metric_option,
    plugin_option,
    rows_of,
    scale_option,
    selection_options,
    shown_rows,
    store_option,
    table_with,
)
from bench.errors import UserError, did_you_mean
from bench.plan.joint import ALL
from bench.plan.waiting import to_come
from bench.spec.own_rows import row_id
from bench.store.runs import Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from bench.plan.expand import Table
    from bench.plan.store_view import StoreView
    from bench.report.model import TableReport
    from bench.report.pictures import Picture

FORMATS = ("latex", "markdown", "csv", "html")
SUFFIXES = {"latex": "tex", "markdown": "md", "html": "html"}
recorded_option = click.option("--recorded", metavar="NAME", help="Fill in from a recorded set what the store lacks.")


@click.command()
@click.argument("tables", nargs=-1)
@scale_option
@selection_options
@metric_option
@click.option("--all", "everything", is_flag=True, help="Also rows, columns and claims that nothing was run for.")
@click.option("--claims", is_flag=True, help="Only the claims of the papers, or of TABLEs and papers, on one page.")
@click.option("--latex", "style", flag_value="latex", help="LaTeX with booktabs.")
@click.option("--markdown", "style", flag_value="markdown", help="Markdown.")
@click.option("--csv", "style", flag_value="csv", help="Raw values of every seed and snapshot.")
@click.option("--html", "style", flag_value="html", help="One HTML page, with the plot and samples inside.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write every format there, the plot, the pictures with an index, and samples.")  # fmt: skip
@click.option("--nearest", is_flag=True, help="With --output or --html: samples of every row above their nearest "
              "training images, by LPIPS and by features (seconds a row).")  # fmt: skip
@recorded_option
@plugin_option
@store_option
def report(tables: tuple[str, ...], scale: Any, everything: bool, claims: bool, style: str | None, output: Path | None,
           store: Store, recorded: str | None, metrics: list[str] | None, **choice: Any) -> None:  # fmt: skip
    """Each TABLE with intervals beside the printed numbers; ALL is every table. Without TABLE: those that have runs.

    Rows, columns and claims that have no runs are named in one line. Of a table that waits for a measure which this
    version does not have, the printed numbers alone are shown.
    """
    from bench.cli.claims_page import loader, show_claims
    from bench.report.build import build_report
    from bench.report.fold import Asked
    from bench.report.left_out import not_shown
    from bench.report.picture_rows import of_other_protocols, with_pictures
    from bench.report.results import load_results

    if choice["nearest"] and output is None and style != "html":
        raise UserError("--nearest makes pictures: it goes with --output DIR or --html")
    if claims:
        return show_claims(tables, scale, style, output, store, recorded, {**choice, "metrics": metrics})
    load = loader(scale, store, recorded, choice)
    for spec in _tables(tables, store, scale, choice):
        if (measure := to_come(spec)) is not None:
            _show_printed(spec, measure, style, output)
            continue
        # What to show: rows, columns and seeds
        spec = with_pictures(spec, scale, recorded)
        seeds, named = choice["seeds"], shown_rows(spec, choice)
        columns = None if choice["columns"] is None else [column.id for column in spec.pick_columns(choice["columns"])]
        if seeds is not None:  # cells are whole when these seeds are done
            spec = spec.with_seeds(len(seeds))
        # The report, with notes on runs that it leaves out
        results = load_results(spec, scale, store, recorded, seeds=seeds, asked=named or ())
        only = named if choice["rows"] is not None else None
        table_report = build_report(spec, scale, results, Asked(only, columns, metrics), load)
        table_report = replace(
            table_report,
            notes=(
                *table_report.notes,
                *not_shown(results, spec, scale, store, seeds),
                *of_other_protocols(spec, scale, recorded),
            ),
            figure=report_pictures.figure(table_report, spec, store, seeds),
        )
        if output is not None:
            for path in _write(table_report, spec, output, store, choice, everything, named or ()):
                click.echo(f"wrote {path}")
        if output is None or style is not None:
            page = style == "html"
            shown = report_pictures.samples(table_report, spec, store, choice) if page else None
            panels = report_pictures.panels(table_report, spec, store, choice) if page else {}
            click.echo(_render(table_report, style, everything, named or (), shown, [*panels.values()]))


@click.command()
@click.argument("method")
@click.option("--against", default="cpu", show_default=True, metavar="NAME",
              help="A recorded set (`recorded`: the project's own, `cpu`), or `runs`: this store's rows.")  # fmt: skip
@click.option("--table", default="table1", show_default=True)
@scale_option
@selection_options
@metric_option
@click.option("--markdown", is_flag=True, help="Markdown.")
@recorded_option
@plugin_option
@store_option
def compare(
    method: str,
    against: str,
    table: str,
    scale: Any,
    metrics: list[str] | None,
    markdown: bool,
    recorded: str | None,
    store: Store,
    **choice: Any,
) -> None:
    """Rank, paired ratios and intervals of METHOD against recorded baselines.

    METHOD is a row's id or label, an expression that was run with --method, or what pictures are called that
    `bench evaluate --as SET` has kept. With `--against runs` the baselines
    are the other rows of your own store. --rows names the baselines [default: every row that has runs].
    """
    from bench.report import compare as comparing
    from bench.report.baselines import baselines_of
    from bench.report.left_out import not_shown
    from bench.report.picture_rows import with_pictures
    from bench.report.results import load_results

    spec = table_with(table, choice["settings"], choice["methods"], choice["columns"])
    spec = with_pictures(spec, scale, recorded)
    # The method is a row of the table, or becomes one
    if method not in {row.id for row in spec.rows}:
        try:
            spec = spec.with_methods((method,))
        except UserError as error:
            raise UserError(
                f"'{method}' is no row of {spec.name}, no label of --method or of the project file, and: {error}"
            ) from error
        method = row_id(method)
    # Our runs and the baselines
    seeds = choice["seeds"]
    ours = load_results(spec, scale, store, recorded, seeds=seeds, asked=[method])
    unseen = not_shown(ours, spec, scale, store, seeds)
    if choice["columns"] is not None:
        ours = ours[ours["column"].isin([column.id for column in spec.pick_columns(choice["columns"])])]
    name = "cpu" if against == "recorded" else against
    rows = rows_of(choice) if choice["rows"] is not None else None
    baselines, remarks = baselines_of(name, spec, scale, ours, method, rows, seeds)
    if seeds is not None:  # cells are whole when these seeds are done
        spec = spec.with_seeds(len(seeds))
    # One comparison for each score
    chosen: list[str | None] = [*metrics] if metrics else [None]  # None: the table's main one
    for metric in chosen:
        comparison = comparing.compare(spec, scale, method, ours, baselines, name, metric)
        click.echo(comparing.render_markdown(comparison) if markdown else comparing.render(comparison))
    for remark in [*remarks, *unseen]:
        click.echo(remark)


@click.command()
@click.argument("table", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="CSV: paper, table, row, column, metric, value.")
@click.option("--marks", is_flag=True,
              help="What is to be known of single numbers (copied, standard deviations, lost, contradictions); "
              "with --csv these alone: table, row, column, metric, mark, value, note.")  # fmt: skip
def recorded(table: str | None, as_csv: bool, marks: bool) -> None:
    """The papers' printed numbers, of all tables, figures and experiments or of one."""
    from bench.report.printed import marks_csv, recorded_csv
    from bench.report.render.printed_text import printed_text

    name = _printed_name(table) if table else None
    if as_csv:
        click.echo(marks_csv(name) if marks else recorded_csv(name), nl=False)
    else:
        click.echo(printed_text(name, with_marks=marks))


def _printed_name(table: str) -> str:
    """The full name of a table that has printed numbers or that the project has; `table1` is `disp/table1`."""
    from bench.plan.load import table_names
    from bench.report.printed import printed_tables

    names = {*table_names(), *printed_tables()}
    full = table if "/" in table else f"disp/{table}"
    if full not in names:
        raise UserError(f"unknown table '{table}'; {did_you_mean(full, names)}")
    return full


def _tables(names: tuple[str, ...], store: Store, scale: str, choice: Mapping[str, Any]) -> list[Table]:
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
    tables = settable(table_names(), *chosen)
    ready = [spec for spec in tables if scale in spec.scales and to_come(spec) is None]
    view = StoreView(store)
    have = [spec for spec in ready if _has_runs(make_plan, spec, scale, view, choice)]
    if not have:
        raise UserError(f"no table has runs at scale {scale} in {store.root}; `bench run table1` makes some")
    return have


def _show_printed(spec: Table, measure: str, style: str | None, output: Path | None) -> None:
    """Show or write the printed numbers of a table that waits for a measure: as CSV, else as text in every style."""
    from bench.files import atomic
    from bench.report.printed import recorded_csv
    from bench.report.render.printed_text import printed_alone

    text = printed_alone(spec, measure)
    if output is not None:
        path = output / f"{spec.name.replace('/', '-')}-printed.txt"
        atomic.write_text(path, text)
        click.echo(f"wrote {path}")
    if output is None or style is not None:
        click.echo(recorded_csv(spec.name) if style == "csv" else text, nl=style != "csv")


def _has_runs(make_plan: Any, spec: Table, scale: str, view: StoreView, choice: Mapping[str, Any]) -> bool:
    rows = [row.id for row in spec.rows if row.printed_only is None and spec.fits(row, scale)]
    plan = make_plan(spec, scale, view, rows, None, choice["seeds"])
    return any(run.status != "planned" for run in plan.runs)


def _render(table_report: TableReport, style: str | None, everything: bool, named: Collection[str],
            samples: Mapping[str, Image] | None = None, panels: Sequence[Picture] = ()) -> str:  # fmt: skip
    """The report in one style; an HTML page has the curves, `samples` and `panels` inside."""
    from bench.report.fold import folded
    from bench.report.picture_words import told
    from bench.report.pictures import pictures
    from bench.report.render import csv, html, latex, markdown, text

    shown = table_report if everything or style == "csv" else folded(table_report, named)
    shown = replace(shown, notes=(*told(shown), *shown.notes))
    renderers = {
        None: text.render,
        "latex": latex.render,
        "markdown": markdown.render,
        "csv": csv.raw,
        "html": lambda shown: html.render(shown, [*pictures(shown, samples or {}), *panels]),
    }
    return str(renderers[style](shown))


def _write(table_report: TableReport, spec: Table, folder: Path, store: Store, choice: Mapping[str, Any],
           everything: bool, named: Collection[str]) -> list[Path]:  # fmt: skip
    """Write all formats of one table below `folder`; the CSV files have every row, shown or not."""
    from bench.files import atomic
    from bench.report.figures import memorised, samples
    from bench.report.figures.curves import save
    from bench.report.figures.drawing import drawn
    from bench.report.figures.trace_curves import trace_curves
    from bench.report.pictures import plotted_block, plotted_traces
    from bench.report.render import csv

    shown = report_pictures.samples(table_report, spec, store, choice)
    panels = report_pictures.panels(table_report, spec, store, choice)
    stem = f"{table_report.name.replace('/', '-')}-{table_report.scale}"
    drawings: list[Path] = []
    if table_report.figure is not None:
        table_report, drawings = report_pictures.write_figure(table_report, folder, stem)
    written = [folder / f"{stem}.{suffix}" for suffix in SUFFIXES.values()]
    for (style, _), path in zip(SUFFIXES.items(), written, strict=True):
        atomic.write_text(path, _render(table_report, style, everything, named, shown, [*panels.values()]))
    # Text and CSV have no pictures
    for name, content in (
        ("txt", _render(table_report, None, everything, named)),
        ("seeds.csv", csv.raw(table_report)),
        ("cells.csv", csv.cells(table_report)),
    ):
        written.append(folder / f"{stem}.{name}")
        atomic.write_text(written[-1], content)
    if (block := plotted_block(table_report)) is not None:
        figure = drawn(table_report)
        for suffix in ("png", "svg"):
            written.append(folder / f"{stem}.{block.metric}.{suffix}")
            save(figure, written[-1])
    for card in plotted_traces(table_report):
        figure = trace_curves(table_report, card)
        for suffix in ("png", "svg"):
            written.append(folder / f"{stem}.{card.name}.{suffix}")
            save(figure, written[-1])
    drawings += memorised.write(panels, folder / f"{stem}.nearest")
    return written + drawings + (samples.write(shown, folder / f"{stem}.samples") if shown else [])
