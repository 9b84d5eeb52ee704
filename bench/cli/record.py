"""`bench record`."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import scale_option, store_option, table_with
from bench.store import Store


@click.command()
@click.argument("table", default="table1")
@click.option("--as", "name", required=True, metavar="NAME", help="The recorded set to write, e.g. cpu.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where recorded sets are kept [default: the project's results/recorded].")  # fmt: skip
@scale_option
@store_option
def record(table: str, name: str, root: Path | None, scale: str, store: Store) -> None:
    """Keep the finished runs of TABLE as part of the recorded set NAME: every seed and snapshot, with its
    commit.
    """
    from bench.report.results import load_results, save_recorded

    spec = table_with(table, ())
    path = save_recorded(load_results(spec, scale, store), name, spec.name, scale, root)
    click.echo(f"wrote {path}")
