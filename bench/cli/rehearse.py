"""`bench rehearse`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.options import store_option
from bench.errors import UserError
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.rehearsal.configurations import Configuration, RehearsalOutcome, Results
    from bench.spec.run import DataSpec

BEGIN, END = "<!-- rehearsal -->", "<!-- /rehearsal -->"


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--list", "list_", is_flag=True, help="The configurations and which have been run; runs nothing.")
@click.option("--recorded", is_flag=True, help="Only what has been run before; runs nothing.")
@click.option("--again", is_flag=True, help="Also run what has been run before.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of the step [default: all].")
@click.option(
    "--configurations", "path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.yaml",
    help="Another list than the papers'.",
)  # fmt: skip
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.md|json",
    help="Write the table there.",
)
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.md",
    help=f"Replace what stands between {BEGIN} and {END} in this file by the table.",
)  # fmt: skip
@store_option
def rehearse(
    ids: tuple[str, ...],
    list_: bool,
    recorded: bool,
    again: bool,
    threads: int | None,
    path: Path | None,
    output: Path | None,
    write: Path | None,
    store: Store,
) -> int:
    """One real step of G and D of everything that the tables train at scale paper, or of these IDs, on this CPU.

    An ID is one that --list shows, or cells: TABLE, TABLE/ROW or TABLE/ROW/COLUMN.
    Prints parameters, time, peak memory and what a GPU would take. What was measured is kept in the store: an
    interrupted rehearsal continues, and only a changed configuration is run again. Exit status 1 if one failed.
    """
    from bench.rehearsal.configurations import RehearsalOutcome, Results
    from bench.rehearsal.listing import LIST, load_configurations, pick

    if output is not None and output.suffix not in (".md", ".json"):
        raise UserError(f"--output {output}: the file's name must end with .md or .json")
    if write is not None:
        _marked(write)
    images_from, configurations = load_configurations(path or LIST)
    chosen = pick(configurations, ids)
    results = Results(store.root)
    problems: dict[str, str] = {}
    if list_:
        _list(chosen, results)
        return 0
    if not recorded:
        # SIGTERM acts as Ctrl-C, so that the process at work and its scratch folder are removed too
        earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            problems = _run(chosen, images_from, results, threads or os.cpu_count() or 1, again=again)
        finally:
            signal.signal(signal.SIGTERM, earlier)
    outcomes = [
        RehearsalOutcome(configuration, results.read(configuration), problems.get(configuration.id, ""))
        for configuration in chosen
    ]
    _show(outcomes, images_from, output, write)
    return 1 if problems else 0


def _run(
    chosen: Sequence[Configuration], images_from: DataSpec, results: Results, threads: int, *, again: bool
) -> dict[str, str]:
    """Rehearse what has not been measured (`again`: everything); returns the failures, id -> reason."""
    from bench.launch.progress import duration
    from bench.rehearsal.configurations import rehearse as rehearse_one

    missing = [configuration for configuration in chosen if again or results.read(configuration) is None]
    problems: dict[str, str] = {}
    begin = time.monotonic()
    for number, configuration in enumerate(missing):
        # From the second on the mean time of those before tells how much is left
        spent = time.monotonic() - begin
        left = f", about {duration(spent / number * (len(missing) - number))} left" if number else ""
        print(
            f"{number + 1}/{len(missing)} {configuration.id}: {configuration.as_run}{left}",
            file=sys.stderr,
            flush=True,
        )
        outcome = rehearse_one(configuration, images_from, results, threads)
        if outcome.measured is None:
            problems[configuration.id] = outcome.problem
            print(f"failed: {configuration.id}: {outcome.problem}", file=sys.stderr, flush=True)
    return problems


def _list(chosen: Sequence[Configuration], results: Results) -> None:
    width = max(len(configuration.id) for configuration in chosen)
    for configuration in chosen:
        state = "done" if results.read(configuration) is not None else "-"
        what = f"{configuration.network.name}  {configuration.method or '(adversarial loss alone)'}"
        click.echo(f"{state:<4}  {configuration.id:<{width}}  {what}")


def _show(outcomes: Sequence[RehearsalOutcome], images_from: DataSpec, output: Path | None, write: Path | None) -> None:
    from bench.files import atomic
    from bench.rehearsal.estimate import markdown, record

    images = f"images of the true size ({images_from.name} at {images_from.resolution} px, enlarged)"
    text = markdown(outcomes, images)
    if output is None and write is None:
        click.echo(text, nl=False)
    if output is not None and output.suffix == ".md":
        atomic.write_text(output, text)
    elif output is not None:
        records = [record(outcome) for outcome in outcomes]
        atomic.write_text(output, json.dumps(records, indent=1) + "\n")
    if write is not None:
        head, tail = _marked(write)
        atomic.write_text(write, f"{head}{BEGIN}\n\n{text}\n{END}{tail}")


def _marked(path: Path) -> tuple[str, str]:
    """The text before and after the marked block. Raises UserError for a file without the block."""
    text = path.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest:
        raise UserError(f"--write {path}: must have one line {BEGIN} and, after it, one line {END}")
    return head, tail
