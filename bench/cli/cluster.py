"""`bench status`, `bench logs` and `bench cancel`: runs that are somewhere else."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from bench.cli import completing
from bench.cli.finding import NO_CHOICE, find_run
from bench.cli.json_document import answer, json_option
from bench.cli.options import plugin_option, run_options, say_if_absent, scale_option, selection_options, store_option
from bench.cli.planning import plan_of
from bench.errors import UserError
from bench.launch.slurm.cancel import cancel_runs
from bench.launch.slurm.records import places, submissions
from bench.launch.slurm.status import IN_HAND, RunStatus, Survey
from bench.plan.joint import ALL
from bench.plan.load import table_names
from bench.store.runs import Store

Labels = dict[str, str]  # uid -> what the run is


@click.command()
@click.argument("table", required=False, shell_complete=completing.tables_or_all)
@scale_option
@selection_options
@click.option("--watch", is_flag=True, help="Stay and renew the table until nothing is queued or at work.")
@click.option("--every", type=click.FloatRange(0.2, 3600), default=5.0, show_default=True, help="Seconds, for --watch.")
@click.option("--all", "everything", is_flag=True, help="A line for every run, also done and planned ones.")
@click.option("--ids", is_flag=True, help="Each run's id too.")
@json_option
@plugin_option
@store_option
def status(
    table: str | None,
    scale: str,
    watch: bool,
    every: float,
    everything: bool,
    ids: bool,
    as_json: bool,
    store: Store,
    **choice: Any,
) -> None:
    """The status of every run of TABLE or of ALL; without either, of every run ever submitted from this store."""
    labels = _labels(table, scale, store, choice)
    say_if_absent(store)

    def look() -> tuple[list[RunStatus], str | None]:
        survey = Survey.of(store, submissions(store), list(labels))
        return [survey.status_of(uid, label) for uid, label in labels.items()], survey.silent

    if as_json and watch:
        raise UserError("--json is one document, and --watch many: choose one of them")
    if as_json:
        answer(**_document(*look()))
    elif watch:
        _watch(look, every, everything, ids)
    else:
        from bench.cli.status_lines import lines

        for line in lines(*look(), everything=everything, ids=ids):
            click.echo(line)


def _document(statuses: list[RunStatus], silent: str | None) -> dict[str, Any]:
    """Every run, whether lines would list it or not."""
    counts = Counter(status.state for status in statuses)
    runs = [{**vars(status), "seconds_left": status.seconds_left} for status in statuses]
    return {"runs": runs, "counts": dict(counts), "cluster_is_silent": silent}


def _watch(look: Callable[[], tuple[list[RunStatus], str | None]], every: float, everything: bool, ids: bool) -> None:
    """Show the runs until none is queued or at work: on a terminal in place, elsewhere as repeated plain lines."""
    from rich.console import Console
    from rich.live import Live

    from bench.cli.status_lines import lines, picture

    console = Console()
    screen = Live(console=console, auto_refresh=False) if sys.stdout.isatty() else None
    with screen or nullcontext():
        while True:
            statuses, silent = look()
            if screen is not None:
                shown = picture(statuses, silent, height=console.height, everything=everything, ids=ids)
                screen.update(shown, refresh=True)
            else:
                click.echo("\n".join([*lines(statuses, silent, everything=everything, ids=ids), ""]))
            if not any(status.state in IN_HAND for status in statuses):
                break
            time.sleep(every)
    click.echo("nothing is queued or at work; there is nothing to wait for")


@click.command()
@click.argument("run", shell_complete=completing.runs)
@click.option("--lines", type=click.IntRange(1, 100_000), default=40, show_default=True, help="How many, from the end.")
@click.option(
    "--curves", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.csv|png",
    help="Write the run's losses and scores so far there instead, as CSV or as a figure.",
)  # fmt: skip
@run_options
@plugin_option
@store_option
def logs(
    run: str, lines: int, curves: Path | None, table: str | None, scale: str | None, store: Store, **choice: Any
) -> None:
    """What the job and the workers of RUN printed, and its last failure.

    RUN is a run's id or a piece of it, its label ("scratch · faces · seed 0", with or without the dots), or its row;
    --table, --scale, --rows, --columns and --seeds choose among several.
    """
    folder = find_run(run, store, table, scale, choice)
    if curves is not None:
        from bench.report.figures.run_curves import write

        click.echo(f"{curves}: {write(folder, folder.uid, curves):,} values of {folder.uid}")
        return
    place = places(submissions(store)).get(folder.uid)
    job_logs = place.logs(store) if place is not None else []
    for path in [*job_logs, folder.error_file]:
        if path.exists() and (text := path.read_text(errors="replace").splitlines()):
            click.echo(f"== {path}")
            click.echo("\n".join(text[-lines:]))
    if not job_logs:
        why = "its job has not started" if place else "it was never submitted"
        click.echo(f"{folder.uid} has no job log: {why}")


@click.command()
@click.argument("target", shell_complete=completing.tables_or_runs)
@scale_option
@selection_options
@plugin_option
@store_option
def cancel(target: str, scale: str, store: Store, **choice: Any) -> None:
    """Stop runs that are queued or at work: TARGET is a table (with --rows, --columns, --seeds) or one run's id.

    Runs at work save first. What is cancelled starts again only when it is submitted or run again.
    """
    labels = _target(target, scale, store, choice)
    survey = Survey.of(store, submissions(store), list(labels))
    if survey.silent is not None:
        raise UserError(f"the cluster does not answer ({survey.silent}); nothing was cancelled")
    stopping = [uid for uid, label in labels.items() if survey.status_of(uid, label).state in IN_HAND]
    cancelled = cancel_runs(store, survey, stopping)
    for job in cancelled:
        click.echo(f"job {job} cancelled")
    click.echo(f"{len(stopping)} of {len(labels)} runs were queued or at work and are being stopped")


def _target(target: str, scale: str, store: Store, choice: dict[str, Any]) -> Labels:
    """The runs of a table, if the target is the name or the file of one, else one run."""
    tables = table_names()
    if target.endswith((".yaml", ".yml")) or target in (ALL, *tables) or f"disp/{target}" in tables:
        return _labels(target, scale, store, choice)
    try:
        uid = find_run(target, store, None, None, NO_CHOICE).uid
    except UserError as not_a_run:
        try:
            return _labels(target, scale, store, choice)
        except UserError as not_a_table:
            raise UserError(f"'{target}' is no run of {store.root}, and: {not_a_table}") from not_a_run
    return {uid: uid}


def _labels(table: str | None, scale: str, store: Store, choice: dict[str, Any]) -> Labels:
    if table is not None:
        return {run.uid: run.label for run in plan_of(table, scale, store, choice).runs}
    choosing = [name for name in ("rows", "columns", "seeds", "methods", "settings") if choice.get(name)]
    if choosing:
        option = {"methods": "method", "settings": "set"}.get(choosing[0], choosing[0])
        raise UserError(f"--{option} chooses among the runs of a table: name one, for example `bench status table1`")
    labels: Labels = {}
    for submission in submissions(store):
        labels |= submission.labels
    if not labels:
        raise UserError(f"nothing was ever submitted from {store.root}; name a table, or another store by --store")
    return labels
