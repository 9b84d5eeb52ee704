"""`bench sample`: what a finished run has learnt, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.opening import open_run
from bench.cli.options import plugin_option, run_options, snapshot_options, store_option
from bench.store.runs import Store


@click.command()
@click.argument("run")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=64, show_default=True, help="How many images.")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="A new or empty folder for them.")  # fmt: skip
@click.option("--grid", is_flag=True, help="One picture of them all, grid.png, in place of numbered PNGs.")
@click.option("--seed", type=click.IntRange(0), help="Of the latents [default: the run's, as in scoring].")
@snapshot_options
@run_options
@plugin_option
@store_option
def sample(run: str, count: int, output: Path, grid: bool, seed: int | None, store: Store, **choice: Any) -> None:
    """Images of a finished RUN: its generator's average, through its method's sampler, as PNGs.

    Without --seed they are the first of those that were scored, pixel for pixel, then further ones. RUN is what
    `bench logs` takes: an id or a piece of it, a label, a row.
    """
    from bench.data.pngs import refuse_taken, write_pictures

    refuse_taken(output)
    opened = open_run(run, store, choice)
    record = {
        "uid": opened.folder.uid,
        "snapshot": opened.snapshot,
        "step": opened.step,
        "seed": opened.spec.seed if seed is None else seed,
        "count": count,
    }
    written = write_pictures(output, opened.images(count, seed), count, record, grid=grid)
    what = f"{written[0]}: {count:,} images" if grid else f"{len(written):,} images in {output}"
    click.echo(f"{what}, of {opened.folder.uid}, its {opened.snapshot} snapshot (step {opened.step:,})")
