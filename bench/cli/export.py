"""`bench export`: what a finished run has learnt, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.opening import open_run
from bench.cli.options import plugin_option, run_options, snapshot_options, store_option
from bench.errors import UserError
from bench.store.runs import Store

SUFFIXES = {"torch": ".pt", "safetensors": ".safetensors"}


@click.command()
@click.argument("run")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The file to write; the loader, load_generator.py, is put beside it.")  # fmt: skip
@click.option("--to", "form", type=click.Choice(list(SUFFIXES)),
              help="FILE.pt for torch.load, or FILE.safetensors [default: as FILE ends, else torch].")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files that are there.")
@snapshot_options
@run_options
@plugin_option
@store_option
def export(run: str, output: Path, form: str | None, force: bool, store: Store, **choice: Any) -> None:
    """The generator of a finished RUN as one file: averaged weights, how to build their network, and where it is from.

    Beside it is load_generator.py, thirty lines of code that make images from the file wherever there is torch;
    with this package the README shows how to build the network. Conditions are in the file as the method draws them.
    """
    chosen = form or ("safetensors" if output.suffix == SUFFIXES["safetensors"] else "torch")
    if (output.suffix == SUFFIXES["safetensors"]) != (chosen == "safetensors"):
        raise UserError(f"--output {output}: a file for {chosen} is called {output.stem}{SUFFIXES[chosen]}")
    if output.exists() and not force:
        raise UserError(f"{output} exists; add --force to replace it")
    _refuse_other_loader(output.parent, force)
    opened = open_run(run, store, choice)

    from bench.run.export import LOADER, exported, write_export

    exported_file = exported(opened)
    write_export(exported_file, output, "safetensors" if chosen == "safetensors" else "torch")
    contents = f"network {exported_file['network']}, told {exported_file['condition']}"
    click.echo(
        f"wrote {output} and {LOADER}: {opened.folder.uid}, its {opened.snapshot} snapshot (step {opened.step:,}); "
        f"{contents}"
    )


def _refuse_other_loader(folder: Path, force: bool) -> None:
    """UserError for a file of the loader's name that is none of ours."""
    from bench.run.export import LOADER, loader_text

    path = folder / LOADER
    if path.exists() and not force and path.read_text(errors="replace") != loader_text():
        raise UserError(f"{path} exists and is another; add --force to replace it")
