"""`bench data list|build`, and the group that has the verbs of data_looking.py too."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli import completing
from bench.cli.data_looking import resolution_option, show, stats, verify
from bench.cli.options import plugin_option, store_option
from bench.cli.stale_lines import tell_of_stale
from bench.errors import UserError
from bench.store.runs import Store


@click.group()
def data() -> None:
    """List, build, verify, describe and show data sets."""


@data.command("list")
@click.argument("names", nargs=-1, shell_complete=completing.datasets)
@click.option("--json", "as_json", is_flag=True, help="One JSON document; its keys are in docs/datasets.md.")
@plugin_option
def list_(names: tuple[str, ...], as_json: bool, plugins: list[str]) -> None:
    """Every data set, and whether it is built here. NAMES: parts of names, or patterns such as 'cifar*'."""
    from bench.data import listing
    from bench.plan.sets_of_tables import tables_by_set

    sets = listing.listed(names)
    for line in [listing.as_json(sets, tables_by_set())] if as_json else listing.as_lines(sets):
        click.echo(line)


@data.command()
@click.argument("name", shell_complete=completing.datasets)
@resolution_option
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="A folder or archive of images.",
)
@click.option(
    "--download",
    is_flag=True,
    help="Fetch the files of a published set from its owner, where that needs no account (see docs/datasets.md).",
)
@click.option("--force", is_flag=True, help="Build again even if it is there.")
@click.option(
    "--skip-bad",
    is_flag=False,
    flag_value=sys.maxsize,
    default=0,
    type=click.IntRange(0),
    metavar="[N]",
    help="Leave out at most N files that cannot be used (any number without N), and list them.",
)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes that decode. [default: the cores]")
@click.option(
    "--shots", type=click.IntRange(1), metavar="N", help="Of a set of your own: its column trains on N images."
)
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Of a set of your own: how much becomes the test split. [default: 0.2]",
)
@click.option(
    "--fit",
    type=click.Choice(["clean", "centre", "stretch", "center-crop"]),
    help="Of a set of your own: the centre square of each picture resized (clean, or centre), all of it stretched, or "
    "the centre of the picture made small. [default: clean]",
)
@click.option(
    "--ignore-near-copies",
    is_flag=True,
    help="Of a set of your own: do not look for near copies, one of which may then be in the test split while another "
    "is trained on.",
)
@plugin_option
@store_option
def build(
    name: str,
    resolution: int,
    source: Path | None,
    download: bool,
    force: bool,
    skip_bad: int,
    jobs: int | None,
    shots: int | None,
    test_share: float | None,
    fit: str | None,
    ignore_near_copies: bool,
    plugins: list[str],
    store: Store,
) -> None:
    """Build a data set at a resolution: checked images, disjoint splits, checksums, a contact sheet.

    With --from, a NAME that no data set has becomes a set of your own, a column of any table (--columns NAME). Files
    are taken by content; whatever is not taken is counted in the last line. A build that was ended goes on with the
    pictures that it had converted.
    """
    from bench.data import building

    # The files, and the set
    if download:
        if source or shots or test_share or fit or ignore_near_copies:
            raise UserError(
                "--download is of published sets; leave out --from, --shots, --test-share, --fit and "
                "--ignore-near-copies"
            )
        from bench.data.fetching import fetch

        source = fetch(name, resolution, force, lambda line: click.echo(line, err=True))
    dataset = building.build(
        name,
        resolution,
        source,
        force,
        skip_bad=skip_bad,
        test_share=test_share,
        fit=fit,
        shots=shots,
        ignore_near_copies=ignore_near_copies,
        jobs=jobs,
    )

    # What was left out, what there is, and which runs it makes stale
    for line in dataset.notes.get("bad", ()) if skip_bad else ():
        click.echo(f"skipped:{line}", err=True)
    for line in dataset.notes.get("copies", ()) if source else ():
        click.echo(f"copies:{line}", err=True)
    counts = f"{len(dataset.train)} train + {len(dataset.test)} test images"
    said = [dataset.notes[key] for key in ("lost classes", "left out") if dataset.notes.get(key)]
    click.echo("; ".join([f"{name} at {resolution} px: {counts}", *said, f"sha256 {dataset.sha256}"]))
    tell_of_stale(store, f"data/{name}-{resolution}/")


for verb in (verify, stats, show):
    data.add_command(verb)
