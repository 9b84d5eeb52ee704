"""`bench weights import`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.cli.options import store_option
from bench.cli.stale_lines import tell_of_stale
from bench.store.runs import Store


@click.group()
def weights() -> None:
    """Turn public checkpoints into this project's weights."""


@weights.command("import")
@click.argument("format_name", metavar="FORMAT")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--as", "name", metavar="NAME", help="What tables call it [default: the first file's name].")
@click.option("--network", metavar="NAME", help="What it is of, where the file does not say.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="e.g. --set truncation=0.7")
@click.option("--force", is_flag=True, help="Replace weights of that name.")
@store_option
def import_(
    format_name: str,
    files: tuple[Path, ...],
    name: str | None,
    network: str | None,
    settings: tuple[str, ...],
    force: bool,
    store: Store,
) -> None:
    """Turn a public checkpoint into NAME.pt among the weights; nothing in the file is executed.

    \b
    FORMAT is one of
      biggan-pytorch    G_ema.pth and D.pth, or the folder that holds them
      mimicry-sngan     netG_*_steps.pth, and netD_*_steps.pth
      fastgan-released  STEP.pth or all_STEP.pth
      stylegan2-ada     network-snapshot-*.pkl, unconditional
      stylegan1-port    *.model; needs --network, for example stylegan1-256
    """
    from bench.convert.importing import import_checkpoint
    from bench.plan.load import parse_setting

    imported = import_checkpoint(
        format_name,
        files,
        name=name,
        network=network,
        settings=dict(parse_setting(text) for text in settings),
        replace=force,
    )
    click.echo(f"wrote {imported.path}: {' and '.join(imported.members)} of {imported.network}")
    click.echo("a table takes them as")
    click.echo(f"  sources: {{network: {{weights: {imported.path.stem}}}}}")
    options = ", ".join(f"{key}: {_yaml(value)}" for key, value in imported.options.items())
    click.echo(f"  network: {{name: {imported.network}, options: {{{options}}}}}")
    for note in imported.notes:
        click.echo(f"note: {note}")
    tell_of_stale(store, f"weights/{imported.path.stem}")


def _yaml(value: object) -> str:
    """The value as JSON, which YAML reads too."""
    return json.dumps(value)
