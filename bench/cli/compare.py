"""`bench compare`: a method against recorded baselines, rows of one's own store, or the rows of another table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing
from bench.cli.options import (
    metric_option,
    plugin_option,
    recorded_option,
    rows_of,
    say_if_absent,
    scale_option,
    selection_options,
    store_option,
    table_with,
)
from bench.errors import UserError
from bench.plan.expand import Table
from bench.spec.own_rows import row_id
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.report.compare import MethodComparison

STYLES = ("markdown", "latex", "csv", "json")


@click.command()
@click.argument("method", shell_complete=completing.methods)
@click.option("--against", default="cpu", show_default=True, metavar="NAME",
              help="A recorded set (`recorded`: the project's own, `cpu`), `runs`: this store's rows, or a TABLE: its "
              "rows in this store, where they are scored as ours are.")  # fmt: skip
@click.option("--table", default="table1", show_default=True, shell_complete=completing.tables)
@scale_option
@selection_options
@metric_option
@click.option("--markdown", "style", flag_value="markdown", help="Markdown.")
@click.option("--latex", "style", flag_value="latex", help="LaTeX with booktabs.")
@click.option("--csv", "style", flag_value="csv", help="A line for each baseline and data set.")
@click.option("--json", "style", flag_value="json", help="All of it, for programs.")
@click.option("--html", "site", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write a page for a browser there.")  # fmt: skip
@click.option("--single", is_flag=True, help="All as one HTML file: printed, or with --html DIR written there.")
@click.option("--open", "opens", is_flag=True, help="Write the page and open it in the browser.")
@recorded_option
@plugin_option
@store_option
def compare(
    method: str, against: str, table: str, scale: Any, metrics: list[str] | None, style: str | None,
    site: Path | None, single: bool, opens: bool, recorded: str | None, store: Store, **choice: Any,
) -> None:  # fmt: skip
    """Where METHOD stands: rank, paired ratios with intervals, seeds that a difference would need, score beside cost.

    METHOD is a row's id or label, an expression that was run with --method, or what pictures are called that
    `bench evaluate --as SET` has kept. With `--against runs` the baselines are the other rows of your own store, with
    `--against sle/table2` that table's. --rows names the baselines [default: every row that has runs].
    """
    from bench.cli import compare_page

    pages = single or opens or site is not None
    if style is not None and pages:
        raise UserError(f"--{style} is printed, and --html, --single and --open make a page: choose one of them")
    comparisons, remarks = _compared(method, against, table, scale, metrics, recorded, store, choice)
    if pages:
        compare_page.show(comparisons, remarks, site, store, single=single, opens=opens)
        return
    click.echo(_printed(comparisons, remarks, style), nl=style != "csv")


def _compared(
    method: str, against: str, table: str, scale: Any, metrics: list[str] | None, recorded: str | None, store: Store,
    choice: dict[str, Any],
) -> tuple[list[MethodComparison], list[str]]:  # fmt: skip
    """A comparison for each score, and remarks on what was left out."""
    import pandas as pd

    from bench.report import compare as comparing
    from bench.report.baselines import baselines_of
    from bench.report.costs import spent_by
    from bench.report.left_out import not_shown
    from bench.report.results import load_results

    spec, method = _with_method(method, table, scale, recorded, choice)
    # Our runs and the baselines
    seeds = choice["seeds"]
    ours = load_results(spec, scale, store, recorded, seeds=seeds, asked=[method])
    unseen = not_shown(ours, spec, scale, store, seeds)
    if choice["columns"] is not None:
        ours = ours[ours["column"].isin([column.id for column in spec.pick_columns(choice["columns"])])]
    name = "cpu" if against == "recorded" else against
    rows = rows_of(choice) if choice["rows"] is not None else None
    baselines, remarks = baselines_of(name, spec, scale, ours, method, rows, seeds, store)
    if seeds is not None:  # cells are whole when these seeds are done
        spec = spec.with_seeds(len(seeds))
    # One comparison for each score
    spent = spent_by(pd.concat([ours[ours["row"] == method], baselines]), store)
    chosen: list[str | None] = [*metrics] if metrics else [None]  # None: the table's main one
    try:
        compared = [comparing.compare(spec, scale, method, ours, baselines, name, one, spent) for one in chosen]
    except comparing.NoScoresError:
        say_if_absent(store)  # which is why
        raise
    return compared, [*remarks, *unseen]


def _with_method(
    method: str, table: str, scale: Any, recorded: str | None, choice: dict[str, Any]
) -> tuple[Table, str]:
    """The table with the method as one of its rows, and that row's id."""
    from bench.report.picture_rows import with_pictures

    spec = table_with(table, choice["settings"], choice["methods"], choice["columns"])
    spec = with_pictures(spec, scale, recorded)
    if method in {row.id for row in spec.rows}:
        return spec, method
    try:
        return spec.with_methods((method,)), row_id(method)
    except UserError as error:
        raise UserError(
            f"'{method}' is no row of {spec.name}, no label of --method or of the project file, and: {error}"
        ) from error


def _printed(comparisons: Sequence[MethodComparison], remarks: Sequence[str], style: str | None) -> str:
    """The comparisons in one style; remarks stand below, in JSON within, and of CSV on stderr."""
    from bench.report.render import comparison_data, comparison_latex, comparison_text, latex

    if style == "json":
        return comparison_data.as_json(comparisons, remarks)
    if style == "csv":
        for remark in remarks:
            click.echo(remark, err=True)
        return comparison_data.csv(comparisons)
    if style == "latex":
        parts = [comparison_latex.render(one) for one in comparisons]
        return "\n".join([*parts, *(f"% {latex.escape(remark)}" for remark in remarks)])
    render = comparison_text.render_markdown if style == "markdown" else comparison_text.render
    return "\n".join([*map(render, comparisons), *remarks])
