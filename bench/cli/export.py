"""`bench export`: what a finished run has learnt, as a file; or curves and pictures of runs, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.cli import completing
from bench.cli.export_curves import FORMS, export_curves
from bench.cli.opening import open_run
from bench.cli.options import plugin_option, run_options, snapshot_options, store_option
from bench.errors import UserError
from bench.store.runs import Store

SUFFIXES = {"torch": ".pt", "safetensors": ".safetensors"}
# Options that mean something of weights alone, or of curves alone
OF_WEIGHTS, OF_CURVES = ("force", "snapshot", "allow_stale"), ("follow", "every")


@click.command()
@click.argument("run", nargs=-1, shell_complete=completing.runs)
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="FILE|DIR",
              help="The file to write, and load_generator.py, the loader, beside it. A folder for curves.")  # fmt: skip
@click.option("--to", "form", type=click.Choice([*SUFFIXES, *FORMS]),
              help="FILE.pt for torch.load, or FILE.safetensors [default: as FILE ends, else torch]; or losses, "
              "scores, sample grids, settings and provenance of RUNs as TensorBoard's event files, or as JSON lines "
              "in the words of wandb and trackio.")  # fmt: skip
@click.option("--follow", is_flag=True, help="With --to tensorboard or jsonl: go on until no RUN is at work or queued.")
@click.option(
    "--every", type=click.FloatRange(0.2, 3600), default=10.0, show_default=True, help="Seconds, for --follow."
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@snapshot_options
@run_options
@plugin_option
@store_option
def export(run: tuple[str, ...], output: Path, form: str | None, follow: bool, every: float, force: bool,
           store: Store, **choice: Any) -> None:  # fmt: skip
    """The generator of a finished RUN as one file: averaged weights, how to build their network, and where it is from.

    Beside it is load_generator.py, thirty lines of code that make images from the file wherever there is torch;
    with this package: docs/evaluate.md. Conditions are in the file as the method draws them.

    With --to tensorboard or --to jsonl the curves of one or several RUNs, or of the runs of --table, also while they
    train. What is there already is not written twice: the same command continues.
    """
    curves = form in FORMS
    _refuse_options(OF_WEIGHTS if curves else OF_CURVES, f"--to {form or 'torch'}")
    if curves:
        return export_curves(run, output, str(form), every if follow else None, store, choice)
    if len(run) != 1:
        raise UserError(f"a generator is of one RUN, and {len(run) or 'none'} is named")
    _export_weights(run[0], output, form, force, store, choice)


def _export_weights(
    run: str, output: Path, form: str | None, force: bool, store: Store, choice: dict[str, Any]
) -> None:
    """Write the generator of a run."""
    chosen = form or ("safetensors" if output.suffix == SUFFIXES["safetensors"] else "torch")
    if (output.suffix == SUFFIXES["safetensors"]) != (chosen == "safetensors"):
        raise UserError(f"--output {output}: a file for {chosen} is called {output.stem}{SUFFIXES[chosen]}")
    if output.is_dir():
        raise UserError(f"--output {output}: is a folder; name the file")
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


def _refuse_options(names: tuple[str, ...], form: str) -> None:
    """UserError for an option that was given and means nothing for what is written."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UserError(f"--{name.replace('_', '-')} does not go with {form}")


def _refuse_other_loader(folder: Path, force: bool) -> None:
    """UserError for a file of the loader's name that is none of ours."""
    from bench.run.export import LOADER, loader_text

    path = folder / LOADER
    if path.exists() and not force and path.read_text(errors="replace") != loader_text():
        raise UserError(f"{path} exists and is another; add --force to replace it")
