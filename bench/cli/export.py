"""`bench export`: what a finished run has learnt, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.opening import open_run
from bench.cli.options import plugin_option, run_options, snapshot_options, store_option
from bench.errors import UserError
from bench.store.runs import Store


@click.command()
@click.argument("run")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.pt",
              help="The file to write.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@snapshot_options
@run_options
@plugin_option
@store_option
def export(run: str, output: Path, force: bool, store: Store, **choice: Any) -> None:
    """The generator of a finished RUN as one file for torch.load(FILE, weights_only=True).

    It holds the averaged weights, how to build their network, conditions as the method draws them, and where it
    is from; the README shows how to load it.
    """
    if output.exists() and not force:
        raise UserError(f"{output} exists; add --force to replace it")
    opened = open_run(run, store, choice)

    from bench.files.weights import write_weights
    from bench.run.export import exported

    exported_file = exported(opened)
    write_weights(output, exported_file)
    contents = f"network {exported_file['network']}, told {exported_file['condition']}"
    click.echo(
        f"wrote {output}: {opened.folder.uid}, its {opened.snapshot} snapshot (step {opened.step:,}); {contents}"
    )
