"""`bench export --to tensorboard|jsonl`: curves, pictures and settings of runs for trackers of experiments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.opening import found_run
from bench.cli.planning import plan_of
from bench.errors import UserError
from bench.launch.progress import counted
from bench.launch.slurm.records import submissions
from bench.launch.slurm.status import IN_HAND, Survey
from bench.plan.load import load_table
from bench.spec.table import SCALES
from bench.store.runs import RunFolder, Store

FORMS = ("tensorboard", "jsonl")
IDLE_LOOKS = 2  # between two runs of a queue none is at work for a moment
Chosen = dict[str, tuple[RunFolder, str, Store]]  # uid -> the run, what it is called, its store
Update = Callable[[RunFolder, str], int]


def export_curves(
    names: Sequence[str], output: Path, form: str, every: float | None, store: Store, choice: Mapping[str, Any]
) -> None:
    """Write runs into a folder, a folder each, and go on with what is new while any is at work.

    names: runs; without any, the trainings of `choice["table"]` that the store has. every: seconds between two looks;
    None for a single look. Raises UserError for runs that are not there.
    """
    if output.is_file():
        raise UserError(f"--output {output}: is a file; name a folder, in which each run has one of its own")
    update, close = _writer(form, output)
    chosen = _chosen(names, store, choice)
    steps, idle = 0, 0
    try:
        while True:
            # Asked before the look, so that nothing that a run has written at its end is missed
            idle = 0 if every is not None and _in_hand(chosen) else idle + 1
            steps += sum(update(folder, label) for folder, label, _ in chosen.values())
            if every is None or idle >= IDLE_LOOKS:
                break
            time.sleep(every)
    finally:
        close()
    click.echo(f"{output}: {counted(len(chosen))}, {counted(steps, 'step')} added")


def _writer(form: str, output: Path) -> tuple[Update, Callable[[], None]]:
    """What brings a run's export up to date, and what ends it."""
    from bench.report.trackers.history import history

    if form == "jsonl":
        from bench.report.trackers import json_lines

        return (lambda folder, label: json_lines.export(history(folder, label), output)), lambda: None

    from bench.report.trackers.event_files import EventFiles, require_tensorboard

    require_tensorboard()
    open_files: dict[str, EventFiles] = {}

    def update(folder: RunFolder, label: str) -> int:
        if folder.uid not in open_files:
            open_files[folder.uid] = EventFiles(output, folder.uid)
        return open_files[folder.uid].update(history(folder, label))

    def close() -> None:
        for files in open_files.values():
            files.close()

    return update, close


def _chosen(names: Sequence[str], store: Store, choice: Mapping[str, Any]) -> Chosen:
    chosen: Chosen = {}
    for name in names:
        folder, home = found_run(name, store, choice)
        spec = folder.spec()
        if spec.kind != "train":
            raise UserError(f"run '{name}': {folder.uid} is no training: it has no curve")
        chosen[folder.uid] = folder, f"{spec.about} · {spec.data.name} · seed {spec.seed}", home
    if names:
        return chosen
    if choice["table"] is None:
        raise UserError("name a RUN or several, or a table's runs by --table")
    # The trainings of a table that have begun
    has = load_table(choice["table"]).scales
    for scale in [choice["scale"]] if choice["scale"] else [one for one in SCALES if one in has]:
        for run in plan_of(choice["table"], scale, store, dict(choice)).runs:
            folder = store.folder(run.uid)
            if run.spec.kind == "train" and folder.spec_file.exists():
                chosen[run.uid] = folder, run.label, store
    if not chosen:
        raise UserError(f"--table {choice['table']}: none of these runs is in {store.root}")
    return chosen


def _in_hand(chosen: Chosen) -> bool:
    """Whether any of the runs is at work, or waits in a cluster's queue."""
    stores = {str(home.root): home for _, _, home in chosen.values()}
    for home in stores.values():
        uids = [uid for uid, (_, _, other) in chosen.items() if other is home or other.root == home.root]
        survey = Survey.of(home, submissions(home), uids)
        if any(survey.status_of(uid, uid).state in IN_HAND for uid in uids):
            return True
    return False
