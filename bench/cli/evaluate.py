"""`bench evaluate`: images made elsewhere, a checkpoint, or a finished run again, under a table's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing
from bench.cli.evaluated_column import is_given, refuse_idle, setting_of, table_of
from bench.cli.finding import NO_CHOICE
from bench.cli.opening import checkpoint_options, found_run, open_run
from bench.cli.options import (
    measures_option,
    plugin_option,
    recorded_root_option,
    replace_option,
    scale_option,
    snapshot_options,
    store_option,
)
from bench.errors import UserError
from bench.launch.local.devices import slots
from bench.store.runs import RunFolder, Store

if TYPE_CHECKING:
    from bench.report.evaluation import Evaluation, Setting
    from bench.spec.run import RunSpec

# The options that mean something beside some subjects only
PROTOCOLS = ("dataset", "resolution", "table", "scale", "column", "protocol")
ROWS = ("name", "root", "replace")
ONLY_FOR = {
    "seed": ("images", "checkpoint"),
    **dict.fromkeys(("against", "resize"), ("images",)),
    "allow_fewer": ("images",),
    "network": ("checkpoint",),
    **dict.fromkeys(("snapshot", "allow_stale"), ("run",)),
}
NOT_AGAINST = ("dataset", "seed", "allow_fewer", "name", "root", "replace")


@click.command()
@click.option("--images", type=click.Path(exists=True, path_type=Path), metavar="PATH",
              help="Score the pictures of a folder, an archive (zip, tar) or an array (npz, npy).")  # fmt: skip
@click.option("--run", metavar="RUN", shell_complete=completing.runs,
              help="Or: score a finished run again, by its id, label, row or folder, under its own protocol, or under "
              "the one that --dataset, --resolution, --table, --scale, --column or --protocol names.")  # fmt: skip
@checkpoint_options
@click.option("--against", type=click.Path(exists=True, path_type=Path), metavar="PATH",
              help="Against the pictures of another folder or archive, in place of a data set.")  # fmt: skip
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=completing.datasets,
    help="The data set that the images are held against.",
)
@click.option("--resolution", type=click.IntRange(8, 1024), help="Its pixels a side.")
@click.option(
    "--table",
    default="table1",
    show_default=True,
    shell_complete=completing.tables,
    help="Whose protocol: a table's name or YAML file.",
)
@scale_option
@click.option("--column", metavar="ID", help="Whose protocol, where --dataset does not tell.")
@click.option("--protocol", metavar="NAME", help="A protocol by its name, of --table or of any table that has it.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Of what is scored, where its row has several (--as) or it is sampled here (--checkpoint); of the "
              "runs whose training images are the reference, where the protocol's are.")  # fmt: skip
@measures_option
@click.option("--method", metavar="NAME", help="What to call what is scored.")
@click.option("--as", "name", metavar="SET", help="Keep the scores as a row of the table in this recorded set.")
@recorded_root_option
@replace_option
@click.option("--resize", is_flag=True, help="Take pictures of other sizes, made square as the data set's were.")
@click.option("--allow-fewer", is_flag=True, help="Take fewer pictures than the protocol generates.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@snapshot_options
@plugin_option
@store_option
def evaluate(images: Path | None, run: str | None, checkpoint: str | None, as_json: bool, store: Store,
             **choice: Any) -> None:  # fmt: skip
    """Score a folder of images as the runs of a table's column are scored, or a checkpoint, or a finished run again.

    The column is the one whose data set is NAME, and its extractors, metrics, k and counts are used. If there are
    more pictures than the protocol generates, the first by name are taken. Scores of fewer images are not
    comparable: a Fréchet distance is biased upward. --against compares two folders, all pictures of each.
    """
    subjects = {"images": images, "checkpoint": checkpoint, "run": run}
    named = [name for name, value in subjects.items() if value is not None]
    if len(named) != 1:
        raise UserError("name one thing to score: --images PATH, --checkpoint FILE or --run RUN")
    refuse_idle([name for name, whose in ONLY_FOR.items() if named[0] not in whose], f"--{named[0]}")

    from bench.report.render import evaluation_text

    if run is not None and not any(map(is_given, PROTOCOLS)):
        refuse_idle(ROWS, "--run under the run's own protocol: it is a row already")
        evaluation, kept = _run(run, store, choice), None
    elif images is not None and choice["against"] is not None:
        evaluation, kept = _two_folders(images, choice), None
    else:
        evaluation, kept = _scored(subjects, store, choice)
    click.echo(evaluation_text.as_json(evaluation) if as_json else evaluation_text.as_text(evaluation))
    if kept is not None:
        from bench.cli.record import tell_of_root

        click.echo(f"kept as a row in {kept}", err=as_json)
        tell_of_root(kept, err=as_json)


def _scored(subjects: dict[str, Any], store: Store, choice: dict[str, Any]) -> tuple[Evaluation, Path | None]:
    """Images under a column's protocol, and the file of the recorded set in which they were kept."""
    images, checkpoint, run = subjects["images"], subjects["checkpoint"], subjects["run"]
    folder = None if run is None else found_run(run, store, {**choice, **NO_CHOICE, "table": None, "scale": None})
    if folder is not None:
        choice = {**choice, **_of_run(folder[0].spec(), choice)}
    setting, row = setting_of(choice, sampled=images is None), ""
    if choice["name"] is not None:
        from bench.report.evaluation_record import row_of

        row = row_of(setting, choice["method"], choice["name"])
    elif is_given("root") or is_given("replace"):
        raise UserError("--root and --replace are of a recorded set: --as SET names it")
    if folder is not None:
        evaluation = _run_under(*folder, setting, store, choice)
    elif images is not None:
        evaluation = _folder(images, setting, store, choice)
    else:
        evaluation = _checkpoint(checkpoint, setting, store, choice)
    if not row:
        return evaluation, None

    from bench.report.evaluation_record import keep

    saved = keep(evaluation, setting, row, choice["name"], store, choice["root"], replace=choice["replace"])
    return evaluation, saved.path


def _folder(images: Path, setting: Setting, store: Store, choice: dict[str, Any]) -> Evaluation:
    from bench.report.evaluation import evaluate_folder

    return evaluate_folder(
        setting,
        images,
        store,
        slots(1)[0],
        method=choice["method"],
        resize=choice["resize"],
        allow_fewer=choice["allow_fewer"],
    )


def _checkpoint(checkpoint: str | None, setting: Setting, store: Store, choice: dict[str, Any]) -> Evaluation:
    """As many images of a checkpoint as the protocol generates."""
    from bench.report.evaluation import evaluate_images
    from bench.run.checkpoint import open_checkpoint

    assert checkpoint is not None
    device, protocol = slots(1)[0], setting.protocol
    opened = open_checkpoint(checkpoint, choice["network"], device, protocol.batch, protocol.generated)
    opened.refuse_resolution(setting.data.resolution)
    images_NHWC = opened.draws.all_images(protocol.generated, setting.seed)
    return evaluate_images(
        setting, images_NHWC, opened.told, store, device, method=choice["method"], notes=opened.notes
    )


def _two_folders(images: Path, choice: dict[str, Any]) -> Evaluation:
    """Two folders: the scores are those of the column, or of the table's first where none is named."""
    from bench.report.against import evaluate_against
    from bench.report.chosen_scores import chosen_scores
    from bench.report.pick_column import pick_column

    refuse_idle(NOT_AGAINST, "--against, which has no data set")
    table, scale = table_of(choice), choice["scale"]
    columns = list(table.scored_columns(scale)) if choice["column"] is None else [choice["column"]]
    column = pick_column(table, scale, None, None, columns[0], choice["protocol"])
    protocol = table.scored(column, scale).protocol
    metrics = chosen_scores(choice["measures"], protocol.metrics)
    return evaluate_against(
        images,
        choice["against"],
        metrics,
        f"none: all pictures of both; scores of {protocol.name} v{protocol.version}, {table.name} at scale {scale}",
        slots(1)[0],
        method=choice["method"],
        resolution=choice["resolution"],
        resize=choice["resize"],
    )


def _run(run: str, store: Store, choice: dict[str, Any]) -> Evaluation:
    opened = open_run(run, store, {**choice, **NO_CHOICE, "table": None, "scale": None})

    from bench.report.evaluation import evaluate_run

    return evaluate_run(opened, store, str(opened.ctx.device), method=choice["method"], metrics=choice["measures"])


def _of_run(spec: RunSpec, choice: dict[str, Any]) -> dict[str, Any]:
    """What a protocol's choice leaves open: the run's data set and pixels, unless a column is named, and its seed."""
    own: dict[str, Any] = {"seed": spec.seed}
    if choice["column"] is None:
        own |= {name: getattr(spec.data, of) for name, of in (("dataset", "name"), ("resolution", "resolution"))
                if choice[name] is None}  # fmt: skip
    return own


def _run_under(folder: RunFolder, home: Store, setting: Setting, store: Store, choice: dict[str, Any]) -> Evaluation:
    """As many images of a run as another protocol generates, made as a training with it would have made them."""
    from bench.report.evaluation import evaluate_run_under
    from bench.run.reopen import reopen

    if (own := folder.spec().data.resolution) != setting.data.resolution:
        raise UserError(
            f"run {folder.uid} makes images of {own} px, the protocol's are of {setting.data.resolution} px"
        )
    snapshot, stale = choice["snapshot"], choice["allow_stale"]
    opened = reopen(folder, home, snapshot, slots(1)[0], allow_stale=stale, protocol=setting.protocol)
    return evaluate_run_under(opened, setting, store, str(opened.ctx.device), method=choice["method"])
