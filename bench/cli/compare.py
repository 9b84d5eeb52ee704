"""`bench compare`: a method against recorded baselines, or against rows of one's own store."""

from __future__ import annotations

from typing import Any

import click

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
from bench.spec.own_rows import row_id
from bench.store.runs import Store


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
    try:
        comparisons = [comparing.compare(spec, scale, method, ours, baselines, name, metric) for metric in chosen]
    except comparing.NoScoresError:
        say_if_absent(store)  # which is why
        raise
    for comparison in comparisons:
        click.echo(comparing.render_markdown(comparison) if markdown else comparing.render(comparison))
    for remark in [*remarks, *unseen]:
        click.echo(remark)
