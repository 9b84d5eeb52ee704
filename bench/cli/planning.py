"""What `plan`, `run` and `submit` share: the plan, its summary, and what is refused before anything starts."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.all_tables import every_table
from bench.cli.cost_lines import card_for, cost_words
from bench.cli.options import rows_of, table_with
from bench.cli.stale_lines import tell_of_inputs
from bench.errors import UserError
from bench.launch.progress import counted
from bench.machine.provenance import commit
from bench.plan.cost.model import Card
from bench.plan.estimate import Cost, estimate_cost
from bench.plan.joint import ALL, JointPlan, make_joint_plan
from bench.plan.runs import Plan, make_plan
from bench.plan.schedule import PlannedRun, Schedule
from bench.plan.store_view import StoreView
from bench.spec.run import DataSpec, Protocol
from bench.spec.words import counts_words, data_words
from bench.store.runs import Store


def plan_of(table: str, scale: str, store: Store, choice: dict[str, Any]) -> Plan | JointPlan:
    """The plan of a table, or of ALL, with the choices of `selection_options`."""
    if table == ALL:
        plan: Plan | JointPlan = _plan_of_all(scale, store, choice)
    else:
        spec = table_with(table, choice["settings"], choice["methods"], choice["columns"])
        references = choice.get("references", True)
        plan = make_plan(spec, scale, store, rows_of(choice), choice["columns"], choice["seeds"], references)
    if choice.get("rerun"):
        plan.ask_again()
    if choice.get("no_train"):
        plan.train_nothing()
    return plan


def _plan_of_all(scale: str, store: Store, choice: dict[str, Any]) -> JointPlan:
    return make_joint_plan(
        every_table(scale, choice), scale, StoreView(store), choice["seeds"], choice.get("references", True)
    )


def say_what_submit_would_refuse() -> None:
    """A line on stderr if the site profile in force cannot be read: here nothing needs it, `bench submit` does."""
    from bench.launch.slurm.profile_load import load_profile, usual_profile

    if usual_profile() is None:
        return
    try:
        load_profile(None)
    except UserError as error:
        click.echo(f"bench submit would refuse the site profile in force: {error}", err=True)


def summarise(plan: Schedule, store: Store, retry: Any, card: Card, submitted: Mapping[str, str] | None = None) -> Cost:
    """Print what is there, what would start and what that will cost, in a few lines; returns the cost.

    card: the card that hours of a GPU are for. submitted: uid -> status of the runs that a cluster has; they have that
    status here and are not to start.
    """
    elsewhere = submitted or {}
    counts = ", ".join(f"{number} {status}" for status, number in sorted(plan.counts(elsewhere).items()))
    here = plan.only([run for run in plan.runs if run.uid not in elsewhere])
    on = card_for(plan.scale, card)
    cost = estimate_cost(here, store, retry, on)
    evaluations = sum(run.spec.measure is not None for run in plan.runs)
    runs = counted(len(plan.runs)) + (f", of which {counted(evaluations, 'evaluation')}" if evaluations else "")
    line = f"{plan.name} at scale {plan.scale}: {runs} ({counts}); {len(cost.spans)} to start"
    line += cost_words(cost, on) if cost.spans else ""
    click.echo(line)
    if alone := sum(run.exclusive for run in here.to_start(retry)):
        click.echo(f"{counted(alone, 'measurement')} of time: each runs alone on its machine")
    if stuck := here.behind_failed(retry):
        click.echo(f"of these {counted(len(stuck))} cannot start: the source has failed; --retry failed begins with it")
    if left_out := here.left_out(retry):
        click.echo(f"left out, as --no-train trains nothing: {_trainings_and_others(left_out)}")
    # What is special about this table or missing on this machine
    if isinstance(plan, Plan) and plan.table.same_as is not None:
        click.echo(f"the runs are those of {plan.table.same_as}, under another paper's names")
    for hint in plan.table.at(plan.scale).cost if isinstance(plan, Plan) else ():
        click.echo(f"cost: {hint}")
    tell_of_inputs(plan, store)
    for name, path in plan.missing_weights().items():
        click.echo(f"missing weights: {name} (put them at {path})")
    return cost


def _trainings_and_others(runs: list[PlannedRun]) -> str:
    """For example "3 trainings, 6 evaluations of runs that are not trained"."""
    trainings = sum(run.spec.kind == "train" for run in runs)
    others = len(runs) - trainings
    whose = "of a run that is" if others == 1 else "of runs that are"
    parts = [counted(trainings, "training")] * bool(trainings)
    return ", ".join([*parts, *([f"{counted(others, 'evaluation')} {whose} not trained"] if others else [])])


def tell_of_draws(plan: Schedule) -> None:
    """Print the data and the reference of each column that has more to say of them than a number of shots.

    Where rows of a column differ in them, each has a line of its own.
    """
    said: dict[str, dict[str, list[str]]] = {}  # column -> what there is to say -> rows
    for cell, spec in ((cell, run.spec) for run in plan.runs for cell in run.cells):
        if spec.protocol is None:
            continue
        rows = said.setdefault(cell.column, {}).setdefault(_draws(spec.data, spec.protocol), [])
        rows += [cell.row] if cell.row not in rows and spec.kind == "train" else []
    for column, texts in said.items():
        trained = {text: rows for text, rows in texts.items() if rows} or texts
        for text, rows in trained.items():
            whose = f" ({', '.join(rows)})" if len(trained) > 1 else ""
            if text:
                click.echo(f"{column}{whose}: {text}")


def _draws(data: DataSpec, protocol: Protocol) -> str:
    """The data and the reference of a run in words; "" where there is no more to say than a number of shots."""
    plain = DataSpec(name=data.name, resolution=data.resolution, shots=data.shots)
    if data == plain and protocol.split == "test":
        return ""
    return f"{data_words(data)}; {counts_words(protocol.generated, protocol.reference, protocol.split)}"


def refuse_missing_weights(plan: Schedule) -> None:
    """Raise UserError if weights that the user supplies are missing, before anything starts."""
    missing = plan.missing_weights() if plan.trains else {}
    if missing:
        name, path = next(iter(missing.items()))
        raise UserError(
            f"{plan.name} at scale {plan.scale} needs the weights '{name}': put them at {path}, "
            "or set BENCH_WEIGHTS; --rows picks rows that need none"
        )


def refuse_unwritable(store: Store) -> None:
    """Raise UserError if the store cannot be written to, before data sets are built for minutes."""
    place = existing(store.root)
    if not writable(place):
        raise UserError(f"store {store.root}: {place} is no folder that can be written to; name another by --store")


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that is there."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return place


def writable(folder: Path) -> bool:
    """Whether files can be created in a folder.

    This is tried with a nameless file, because permission bits mean little for root.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def say_other_code(runs: list[PlannedRun], store: Store) -> None:
    """Print which runs would continue from steps that other code has trained."""
    now, others, commits = commit(), [], set()
    for run in runs:
        folder = store.folder(run.uid)
        starts = (folder.inputs() or {}).get("starts", []) if folder.saved_step() is not None else []
        if earlier := {start["commit"] for start in starts} - {now}:
            others.append(run.label)
            commits |= earlier
    if others:
        listed = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        goes = "goes" if len(others) == 1 else "go"
        click.echo(
            f"{counted(len(others))} {goes} on from what code {', '.join(sorted(commits))} trained, this is {now}: "
            f"{listed}",
            err=True,
        )


def build_data(runs: list[PlannedRun]) -> None:
    """Build embedded data sets once, before many workers need them. Raises UserError for a missing set."""
    from bench.data.imageset import load

    for name, resolution in sorted({(run.spec.data.name, run.spec.data.resolution) for run in runs}):
        load(name, resolution)
