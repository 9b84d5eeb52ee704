"""`bench report`, `bench compare` and `bench recorded`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import plugin_option, scale_option, store_option, table_with
from bench.errors import UserError
from bench.store import Store

if TYPE_CHECKING:
    from bench.report.model import TableReport
    from bench.spec import TableSpec

FORMATS = ("latex", "markdown", "csv", "html")
SUFFIXES = {"latex": "tex", "markdown": "md", "html": "html"}
method_option = click.option(
    "--method", "methods", multiple=True, metavar="EXPR", help="Also show a row of your own."
)
recorded_option = click.option(
    "--recorded", metavar="NAME", help="Fill in from a recorded set what the store lacks."
)


@click.command()
@click.argument("tables", nargs=-1)
@scale_option
@click.option("--latex", "style", flag_value="latex", help="LaTeX with booktabs.")
@click.option("--markdown", "style", flag_value="markdown", help="Markdown.")
@click.option("--csv", "style", flag_value="csv", help="Raw values of every seed and snapshot.")
@click.option("--html", "style", flag_value="html", help="One HTML page.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write every format, the plot and a picture of samples there.")  # fmt: skip
@method_option
@recorded_option
@plugin_option
@store_option
def report(tables: tuple[str, ...], scale: Any, style: str | None, output: Path | None, store: Store,
           methods: tuple[str, ...], recorded: str | None, plugins: list[str]) -> None:  # fmt: skip
    """Each TABLE with intervals beside the printed numbers. Without TABLE: all that have runs."""
    from bench.report.build import build_report
    from bench.report.results import load_results

    for spec in _tables(tables, store, scale):
        shown = spec.with_methods(methods) if methods else spec
        made = build_report(shown, scale, load_results(shown, scale, store, recorded))
        if output is not None:
            for path in _write(made, shown, output, store):
                click.echo(f"wrote {path}")
        if output is None or style is not None:
            click.echo(_render(made, style))


@click.command()
@click.argument("method")
@click.option("--against", default="cpu", show_default=True, metavar="NAME",
              help="A recorded set; `recorded` is the project's own, `cpu`.")  # fmt: skip
@click.option("--table", default="table1", show_default=True)
@scale_option
@click.option("--metric", default="fd", show_default=True)
@click.option("--markdown", is_flag=True, help="Markdown.")
@plugin_option
@store_option
def compare(
    method: str,
    against: str,
    table: str,
    scale: Any,
    metric: str,
    markdown: bool,
    store: Store,
    plugins: list[str],
) -> None:
    """Rank, paired ratios and intervals of METHOD (a row's id, or an expression run with --method) against
    recorded baselines.
    """
    from bench.report import compare as comparing
    from bench.report.results import load_recorded, load_results

    spec = table_with(table, ())
    if method not in {row.id for row in spec.rows}:
        spec = spec.with_methods((method,))
    name = "cpu" if against == "recorded" else against
    baselines = load_recorded(name, spec.name, scale)
    if baselines.empty:
        raise UserError(f"recorded set '{name}' holds nothing of {spec.name} at scale {scale}")
    made = comparing.compare(spec, scale, method, load_results(spec, scale, store), baselines, name, metric)
    click.echo(comparing.render_markdown(made) if markdown else comparing.render(made))


@click.command()
@click.argument("table", required=False)
@click.option("--csv", "as_csv", is_flag=True, help="CSV: paper, table, row, column, metric, value.")
def recorded(table: str | None, as_csv: bool) -> None:
    """The papers' printed numbers, of all tables or of one."""
    from bench.report.printed import read_printed, recorded_csv
    from bench.spec import resolve_table

    name = resolve_table(table) if table else None
    if as_csv:
        click.echo(recorded_csv(name), nl=False)
        return
    frame = read_printed(name)
    grid = frame.pivot_table(
        index=["table", "row"], columns=["column", "metric"], values="text", aggfunc="first", sort=False
    )
    click.echo(grid.fillna("-").to_string())


def _tables(names: tuple[str, ...], store: Store, scale: str) -> list[TableSpec]:
    """The named tables, or every table that has a run in the store."""
    from bench.plan import make_plan
    from bench.spec import load_table, table_names

    if names:
        return [table_with(name, ()) for name in names]
    found = [load_table(name) for name in table_names()]
    found = [spec for spec in found if scale in spec.scales]
    have = [
        spec for spec in found if any(run.status != "planned" for run in make_plan(spec, scale, store).runs)
    ]
    if not have:
        raise UserError(f"no table has runs at scale {scale} in {store.root}; `bench run table1` makes some")
    return have


def _render(made: TableReport, style: str | None) -> str:
    from bench.report import csv, html, latex, markdown, text

    renderers = {
        None: text.render,
        "latex": latex.render,
        "markdown": markdown.render,
        "csv": csv.raw,
        "html": html.render,
    }
    return str(renderers[style](made))


def _write(made: TableReport, spec: TableSpec, folder: Path, store: Store) -> list[Path]:
    """All formats of one table below `folder`."""
    from bench import atomic
    from bench.report import csv, plots, samples, text

    stem = f"{made.name.replace('/', '-')}-{made.scale}"
    written = [folder / f"{stem}.{suffix}" for suffix in SUFFIXES.values()]
    for (style, _), path in zip(SUFFIXES.items(), written, strict=True):
        atomic.write_text(path, _render(made, style))
    for name, content in (
        ("txt", text.render(made)),
        ("seeds.csv", csv.raw(made)),
        ("cells.csv", csv.cells(made)),
    ):
        written.append(folder / f"{stem}.{name}")
        atomic.write_text(written[-1], content)
    if (made.results["status"] != "missing").any() and made.results["value"].notna().any():
        written.append(folder / f"{stem}.fd.png")
        plots.save(plots.fd_curves(made), written[-1])
    return written + samples.write(spec, made.scale, store, folder / f"{stem}.samples")
