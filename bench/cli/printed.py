"""`bench recorded`: the papers' printed numbers."""

from __future__ import annotations

import click

from bench.cli import completing
from bench.cli.json_document import answer, json_option
from bench.errors import UserError, did_you_mean


@click.command()
@click.argument("table", required=False, shell_complete=completing.tables)
@click.option("--csv", "as_csv", is_flag=True, help="CSV: paper, table, row, column, metric, value.")
@click.option("--marks", is_flag=True,
              help="What is to be known of single numbers (copied, standard deviations, lost, contradictions); "
              "with --csv these alone: table, row, column, metric, mark, value, note.")  # fmt: skip
@json_option
def recorded(table: str | None, as_csv: bool, marks: bool, as_json: bool) -> None:
    """The papers' printed numbers, of all tables, figures and experiments or of one."""
    from bench.report.printed import marks_csv, read_marks, read_printed, recorded_csv
    from bench.report.render.printed_text import printed_text

    name = _printed_name(table) if table else None
    if as_json and as_csv:
        raise UserError("--csv and --json are both printed: choose one of them")
    if as_json:
        answer(numbers=read_printed(name).to_dict("records"), marks=read_marks(name).to_dict("records"))
    elif as_csv:
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
