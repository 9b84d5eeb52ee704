"""`bench evaluate`: images made elsewhere, or a finished run again, under a table's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli.conclusion import command_line
from bench.cli.finding import NO_CHOICE
from bench.cli.opening import open_run
from bench.cli.options import (
    plugin_option,
    scale_option,
    snapshot_options,
    store_option,
    table_with,
)
from bench.errors import UserError
from bench.launch.local.worker_handle import slots
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.plan.expand import Table
    from bench.report.evaluation import Evaluation

OF_IMAGES = ("dataset", "resolution", "table", "scale", "column", "seed", "resize", "allow_fewer")
OF_RUNS = ("snapshot", "allow_stale")


@click.command()
@click.option("--images", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="Score the pictures of this folder.")  # fmt: skip
@click.option("--run", metavar="RUN", help="Or: score a finished run again, by its id, label or row.")
@click.option("--dataset", metavar="NAME", help="The data set that the pictures are held against.")
@click.option("--resolution", type=click.IntRange(8, 1024), help="Its pixels a side.")
@click.option("--table", default="table1", show_default=True, help="Whose protocol: a table's name or YAML file.")
@scale_option
@click.option("--column", metavar="ID", help="Whose protocol, where --dataset does not tell.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of the runs whose training images are the reference, where the protocol's are.")  # fmt: skip
@click.option("--method", metavar="LABEL", help="What to call what is scored.")
@click.option("--resize", is_flag=True, help="Take pictures of other sizes: centre square, PIL Lanczos.")
@click.option("--allow-fewer", is_flag=True, help="Take fewer pictures than the protocol generates.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@snapshot_options
@plugin_option
@store_option
def evaluate(images: Path | None, run: str | None, as_json: bool, store: Store, **choice: Any) -> None:
    """Score a folder of images as the runs of a table's column are scored, or a finished run again.

    The column is the one whose data set is NAME, and its extractors, metrics, k and counts are used. If there are
    more pictures than the protocol generates, the first by name are taken. Scores of fewer images are not
    comparable: a Fréchet distance is biased upward.
    """
    if (images is None) == (run is None):
        raise UserError("name what to score: either --images DIR or --run RUN")
    _refuse_idle(OF_IMAGES if images is None else OF_RUNS, "--run" if images is None else "--images")

    from bench.report.render import evaluation_text

    evaluation = _folder(images, store, choice) if images is not None else _run(str(run), store, choice)
    click.echo(evaluation_text.as_json(evaluation) if as_json else evaluation_text.as_text(evaluation))


def _refuse_idle(names: tuple[str, ...], beside: str) -> None:
    """Raise UserError for an option that has no effect beside what else was asked for."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UserError(f"--{name.replace('_', '-')} has no effect beside {beside}; leave it out")


def _folder(images: Path, store: Store, choice: dict[str, Any]) -> Evaluation:
    from bench.data.reference_split import depends_on_seed
    from bench.report.evaluation import evaluate_folder, pick_column

    table, scale = table_of(choice), choice["scale"]
    column = pick_column(table, scale, choice["dataset"], choice["resolution"], choice["column"])
    settings = table.scored(column, scale)
    if not depends_on_seed(settings.data, settings.protocol):
        _refuse_idle(("seed",), f"column {column.id}, whose reference is the same for every seed")
    return evaluate_folder(
        table,
        scale,
        column,
        images,
        store,
        slots(1)[0],
        method=choice["method"],
        resize=choice["resize"],
        allow_fewer=choice["allow_fewer"],
        seed=choice["seed"],
        command_for_floor=command_line("run", choice["table"], {"scale": scale, "columns": column.id}),
    )


def table_of(choice: dict[str, Any]) -> Table:
    """The table, with a further column where --column or --dataset names a data set that none of its columns has."""
    from bench.data.known import datasets

    name, dataset = choice["column"], choice["dataset"]
    table = table_with(choice["table"], columns=[name] if name else None)
    has = {scored.data.name for scored in table.scored_columns(choice["scale"]).values()}
    if name is None and dataset is not None and dataset in datasets() and dataset not in has:
        return table_with(choice["table"], columns=[dataset])
    return table


def _run(run: str, store: Store, choice: dict[str, Any]) -> Evaluation:
    opened = open_run(run, store, {**choice, **NO_CHOICE, "table": None, "scale": None})

    from bench.report.evaluation import evaluate_run

    return evaluate_run(opened, store, str(opened.ctx.device), method=choice["method"])
