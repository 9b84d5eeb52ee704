"""`bench report`: tables with intervals beside the printed numbers, as text, files or pages for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing, report_files, report_pictures, report_site
from bench.cli.json_document import answer, json_option
from bench.cli.options import (
    metric_option,
    plugin_option,
    recorded_option,
    say_if_absent,
    scale_option,
    selection_options,
    shown_rows,
    store_option,
)
from bench.cli.report_tables import chosen_tables, report_of, show_printed
from bench.errors import UserError
from bench.plan.waiting import to_come
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.report.html.page import Extras
    from bench.report.model import TableReport


@click.command()
@click.argument("tables", nargs=-1, shell_complete=completing.tables_or_all)
@scale_option
@selection_options
@metric_option
@click.option("--all", "everything", is_flag=True, help="Also rows, columns and claims that nothing was run for.")
@click.option("--claims", is_flag=True, help="Only the claims of the papers, or of TABLEs and papers, on one page.")
@click.option("--latex", "style", flag_value="latex", help="LaTeX with booktabs.")
@click.option("--markdown", "style", flag_value="markdown", help="Markdown.")
@click.option("--csv", "style", flag_value="csv", help="Raw values of every seed and snapshot.")
@click.option("--html", "site", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write pages for a browser there: an index of all tables, and a page a table.")  # fmt: skip
@click.option("--single", is_flag=True, help="All as one HTML file: printed, or with --html DIR written there.")
@click.option("--open", "opens", is_flag=True, help="Write the pages and open them in the browser.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write every format there, the plot, the pictures with an index, and samples.")  # fmt: skip
@click.option("--nearest", is_flag=True, help="With --output, --html, --single or --open: samples of every row above "
              "their nearest training images, by LPIPS and by features (seconds a row).")  # fmt: skip
@json_option
@recorded_option
@plugin_option
@store_option
def report(tables: tuple[str, ...], scale: Any, everything: bool, claims: bool, style: str | None, site: Path | None,
           single: bool, opens: bool, output: Path | None, as_json: bool, store: Store,
           recorded: str | None, **choice: Any) -> None:  # fmt: skip
    """Each TABLE with intervals beside the printed numbers; ALL is every table. Without TABLE: those that have runs.

    Rows, columns and claims that have no runs are named in one line. Of a table that waits for a measure which this
    version does not have, the printed numbers alone are shown.
    """
    from bench.cli.claims_page import loader, show_claims
    from bench.report.render.report_data import table_data

    # What is asked for, in which form
    site = site or (report_site.usual_folder(store) if opens else None)
    pages = site is not None or single
    style = _style(style, as_json)
    _refuse(claims and site is not None, choice["nearest"] and output is None and not pages, style if pages else None)
    if claims:
        show_claims(tables, scale, "html" if single else style, output, store, recorded, choice)
        return say_if_absent(store)
    # Each table: printed, written, or kept for the pages
    load = loader(scale, store, recorded, choice)
    kept: list[tuple[TableReport, Extras]] = []
    noted, documents = False, list[dict[str, Any]]()
    for spec in chosen_tables(tables, store, scale, choice):
        if (measure := to_come(spec)) is not None:
            documents.append({"table": spec.name, "waits_for": measure})
            show_printed(spec, measure, style, output)
            continue
        spec, table_report = report_of(spec, scale, store, recorded, load, choice)
        if not noted:
            say_if_absent(store)
            noted = True
        named = shown_rows(spec, choice) or ()
        found = report_pictures.found(table_report, spec, store, choice) if output is not None or pages else None
        if output is not None and found is not None:
            for path in report_files.write(table_report, spec, output, store, found, everything, named):
                click.echo(f"wrote {path}")
        if found is not None and pages:
            shown = report_files.shown_part(table_report, everything, named)
            kept.append((shown, report_pictures.extras(shown, spec, found, store)))
        elif style == "json":
            documents.append(table_data(report_files.shown_part(table_report, everything, named)))
        elif output is None or style is not None:
            click.echo(report_files.render(table_report, style, everything, named))
    if style == "json":
        answer(scale=scale, tables=documents)
    _show_pages(kept, site, store, single, opens)


def _show_pages(
    kept: list[tuple[TableReport, Extras]], site: Path | None, store: Store, single: bool, opens: bool
) -> None:
    """Write pages for a browser and open them, or print them as one; nothing where none are asked for."""
    if site is not None:
        path = report_site.write(kept, site, store, single)
        if opens:
            report_site.open_in_browser(path)
    elif single:
        from bench.report.html.site import whole

        click.echo(whole(kept))


def _style(style: str | None, as_json: bool) -> str | None:
    """The style of what is printed; --json is one of them."""
    if as_json and style is not None:
        raise UserError(f"--{style} and --json are both printed: choose one of them")
    return "json" if as_json else style


def _refuse(claims: bool, nearest: bool, style: str | None) -> None:
    """Refuse options that go ill together. style: what is to be printed beside pages."""
    if nearest:
        raise UserError("--nearest makes pictures: it goes with --output DIR, --html DIR, --single or --open")
    if style is not None:
        raise UserError(f"--{style} is printed, and --html, --single and --open make pages: choose one of them")
    if claims:
        raise UserError("--claims is one page: --claims --single prints it, --claims --output DIR writes it")
