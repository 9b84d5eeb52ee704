"""`bench sample`: what a run has learnt, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing
from bench.cli.evaluated_column import refuse_idle
from bench.cli.opening import checkpoint_options, open_run
from bench.cli.options import plugin_option, run_options, snapshot_options, store_option
from bench.errors import UserError
from bench.launch.local.devices import slots
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.run.draws import Draws

STEPS = 8  # images of a row of --interpolate
OF_RUNS = ("table", "scale", "rows", "columns", "seeds", "methods", "settings", "snapshot", "allow_stale")


@click.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@checkpoint_options
@click.option("--count", type=click.IntRange(1, 1_000_000), default=64, show_default=True, help="How many images.")
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="A new or empty folder for them.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["png", "npz"]), default="png", show_default=True,
              help="Numbered PNGs, or one array `images` (N, H, W, 3) of bytes, samples.npz.")  # fmt: skip
@click.option("--grid", is_flag=True, help="One picture of them all, grid.png, in place of numbered PNGs.")
@click.option("--seed", type=click.IntRange(0), help="Of the latents [default: the run's, as in scoring].")
@click.option("--truncation", type=float, metavar="PSI",
              help="Nearer to the average: of w (StyleGANs), from 0, the average, to 1, none; of other networks' z, "
              "whose numbers are kept within PSI.")  # fmt: skip
@click.option("--class", "class_", metavar="NAME", help="Of this class alone, by its name or number.")
@click.option("--interpolate", is_flag=False, flag_value=STEPS, type=click.IntRange(2), metavar="[STEPS]",
              help=f"Rows of {STEPS} (or STEPS) images, each from one of the latents to the next.")  # fmt: skip
@snapshot_options
@run_options
@plugin_option
@store_option
def sample(run: str | None, checkpoint: str | None, network: str | None, count: int, output: Path, form: str,
           grid: bool, seed: int | None, store: Store, **choice: Any) -> None:  # fmt: skip
    """Images of a RUN: its generator's average, through its method's sampler, as PNGs.

    Without --seed they are the first of those that were scored, pixel for pixel, then further ones. RUN is what
    `bench logs` takes: an id or a piece of it, a label, a row; or a run's folder. Of a run that is not finished they
    are those of its newest checkpoint.
    """
    from bench.data.pngs import refuse_taken, write_array, write_pictures

    # What can be refused before anything is opened
    refuse_taken(output)
    if grid and form == "npz":
        raise UserError("--grid is a picture and --format npz an array; leave one of them out")
    steps = choice.pop("interpolate")
    if steps is not None and count % steps:
        raise UserError(f"--count {count} is no whole number of rows of {steps} images (--interpolate {steps}); "
                        f"choose {count // steps * steps or steps}")  # fmt: skip
    draws, record, told = _opened(run, checkpoint, network, store, choice)

    # What is drawn from them
    asked = {"truncation": choice["truncation"], "class": choice["class_"], "interpolate": steps}
    if choice["class_"] is not None:
        draws = draws.of_class(choice["class_"])
    if choice["truncation"] is not None:
        draws = draws.truncated(choice["truncation"])
    images = draws.images(count, seed) if steps is None else draws.interpolated(count // steps, steps, seed)
    record |= {"seed": draws.seed if seed is None else seed, "count": count}
    record |= {name: value for name, value in asked.items() if value is not None}
    if form == "npz":
        written = [write_array(output, images, count, record)]
    else:
        written = write_pictures(output, images, count, record, grid=grid, columns=steps)
    what = f"{len(written):,} images in {output}" if form == "png" and not grid else f"{written[0]}: {count:,} images"
    click.echo(f"{what}, of {told}")


def _opened(
    run: str | None, checkpoint: str | None, network: str | None, store: Store, choice: dict[str, Any]
) -> tuple[Draws, dict[str, Any], str]:
    """What is sampled, what samples.json says of it, and what the last line says."""
    if (run is None) == (checkpoint is None):
        raise UserError("name what to sample: either RUN or --checkpoint FILE")
    if checkpoint is not None:
        from bench.run.checkpoint import open_checkpoint

        refuse_idle(OF_RUNS, "--checkpoint")
        opened = open_checkpoint(checkpoint, network, slots(1)[0])
        return opened.draws, {"checkpoint": checkpoint, "notes": list(opened.notes)}, opened.told
    refuse_idle(("network",), "RUN, whose network is known")
    reopened = open_run(str(run), store, choice, unfinished=True)
    record = {"uid": reopened.folder.uid, "snapshot": reopened.snapshot, "step": reopened.step}
    which = "newest checkpoint" if reopened.snapshot == "latest" else f"{reopened.snapshot} snapshot"
    return reopened.draws, record, f"{reopened.folder.uid}, its {which} (step {reopened.step:,})"
