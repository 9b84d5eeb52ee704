"""`bench plan` and `bench run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import click

from bench.cli.all_tables import tell_of_tables, tell_of_waiting
from bench.cli.conclusion import conclude, same_choice
from bench.cli.cost_lines import keep_to_budget
from bench.cli.impossible import print_problems, refuse_impossible
from bench.cli.json_document import answer, json_option
from bench.cli.notifying import Notifier, notify_option
from bench.cli.options import device_option, sharing_option, work_options
from bench.cli.plan_document import plan_document
from bench.cli.planning import (
    build_data,
    plan_of,
    refuse_missing_weights,
    refuse_unwritable,
    say_other_code,
    say_what_submit_would_refuse,
    summarise,
    tell_of_draws,
)
from bench.cli.stale_lines import set_old_aside
from bench.launch.local.devices import PerGpu, sharing_words, slots
from bench.launch.progress import Tally, counted
from bench.launch.slurm.records import places, submissions
from bench.plan.cost.model import Card
from bench.plan.estimate import Estimates
from bench.plan.joint import JointPlan
from bench.plan.schedule import PlannedRun, Schedule
from bench.run.settings import checkpoint_seconds
from bench.store.runs import Store


@click.command()
@work_options(json_option)
def plan(
    table: str, scale: str, retry: Any, budget: float | None, card: Card, store: Store, as_json: bool, **choice: Any
) -> int:
    """The runs TABLE needs: status, order, cost, and what would start. Nothing starts.

    ALL is every table: a line for each, and how many runs they share.
    Each mistake in it is printed on its own line, and the exit status is then 2; it is 2, too, where what would start
    does not fit --budget.
    """
    plan = plan_of(table, scale, store, choice)
    starting, sent = {run.uid for run in plan.to_start(retry)}, _submitted(plan, store)
    if isinstance(plan, JointPlan):
        tell_of_tables(plan, retry, sent)
    elif not as_json:
        width = max((len(run.label) for run in plan.runs), default=0)
        for run in plan.runs:
            mark = ">" if run.uid in starting and run.uid not in sent else " "
            click.echo(f"{mark} {run.label:<{width}}  {sent.get(run.uid, run.status):<11}  {run.uid}")
        tell_of_draws(plan)
    cost = summarise(plan, store, retry, card, sent)
    asked = [run for run in plan.to_start(retry) if run.uid in cost.spans]
    fits = len(keep_to_budget(asked, cost, budget)) == len(asked)
    if as_json:
        answer(**plan_document(plan, starting, sent, cost, card, fits if budget is not None else None))
    if waiting := [uid for uid in sent if uid in starting]:
        click.echo(f"{counted(len(waiting))} of these in the hands of the cluster: bench submit leaves them alone")
    tell_of_retries(sent, store)
    say_what_submit_would_refuse()
    return print_problems(plan, table, choice) or (0 if fits else 2)


@click.command()
@work_options(
    click.option("--jobs", type=click.IntRange(1, 256), help="Workers at once [default: one per GPU, or per core]."),
    device_option,
    sharing_option,
    notify_option,
)
def run(
    table: str,
    scale: str,
    retry: Any,
    jobs: int | None,
    device: str | None,
    per_gpu: PerGpu,
    notify: str | None,
    budget: float | None,
    card: Card,
    store: Store,
    **choice: Any,
) -> int:
    """Train what TABLE is missing, here, with live progress. Interrupt it and run it again: it continues.

    ALL is every table; a run that several of them show is trained once.

    Exit status 0 if every run of the table is done then, 130 if it was interrupted, 1 if runs failed or are not done.
    """
    checkpoint_seconds()  # refuses a bad setting before anything starts
    plan = plan_of(table, scale, store, choice)
    tell_of_waiting(plan)
    refuse_missing_weights(plan)
    todo = plan.to_start(retry)
    if todo:
        refuse_impossible(plan, table, choice)
    todo = keep_to_budget(todo, summarise(plan, store, retry, card), budget)
    devices = slots(jobs, device, per_gpu) if todo else []
    notifier = Notifier(notify, f"{plan.name} at {scale}", todo, store)
    try:
        outcomes, stopped = _work(plan, todo, notifier, devices, per_gpu, choice["plugins"]) if todo else ({}, False)
    except Exception:
        notifier.crashed()
        raise
    status = conclude(plan, outcomes, store, stopped)
    click.echo(f"see it: {same_choice('report', table, scale, choice)}")
    notifier.ended(outcomes, stopped)
    return status


def tell_of_retries(sent: Mapping[str, str], store: Store) -> None:
    """Print which runs in the hands of the cluster were submitted again with more memory or time, and with how much."""
    placed = places(submissions(store)) if sent else {}
    again = Counter(str(placed[uid].submission.retry) for uid in sent if placed[uid].submission.retry is not None)
    for what, number in again.items():
        click.echo(f"{counted(number)} {what}")


def _submitted(plan: Schedule, store: Store) -> dict[str, str]:
    """uid -> status of the plan's runs on the cluster; "submitted" if the cluster does not answer."""
    sent = places(submissions(store))
    uids = [run.uid for run in plan.runs if run.uid in sent and run.status not in ("done", "diverged", "failed")]
    if not uids:
        return {}
    from bench.launch.slurm.status import IN_HAND, Survey

    survey = Survey.of(store, submissions(store), uids)
    statuses = [survey.status_of(uid, uid) for uid in uids]
    if survey.silent is not None:
        return {status.uid: "submitted" for status in statuses if status.state == "planned" and status.job is not None}
    return {status.uid: status.state for status in statuses if status.state in IN_HAND}


def _work(
    plan: Schedule, todo: list[PlannedRun], notifier: Notifier, devices: list[str], per_gpu: PerGpu, plugins: list[str]
) -> tuple[dict[str, str], bool]:
    """Train the runs here; returns their outcomes (uid -> outcome), and whether the work was stopped."""
    # `bench plan` does without these
    from bench.cli.progress import progress
    from bench.launch.local.admission import MemoryBudget
    from bench.launch.local.gpu_load import GpuLoad
    from bench.launch.local.queue import Queue
    from bench.launch.notices import Told

    # What can fail or has to be told comes before the first worker
    store = notifier.store
    refuse_unwritable(store)
    build_data(todo)
    say_other_code(todo, store)
    estimates = Estimates.measured(store, todo)
    set_old_aside(plan, todo, store)
    if (shared := sharing_words(devices)) is not None:
        click.echo(shared)
    begun = {planned.uid: store.folder(planned.uid).saved_step() or 0 for planned in todo}
    with progress(Tally(todo, estimates.seconds, len(devices), begun)) as watcher:
        for planned in todo:
            store.folder(planned.uid).mark_queued()
        budget = MemoryBudget(estimates.memory, GpuLoad(store, estimates), measured_only=per_gpu == "auto")
        told = Told(watcher, notifier.webhook, notifier.what)
        queue = Queue(store, todo, devices, told, plugins, budget=budget)
        outcomes = queue.work()
    for note in queue.notes:
        click.echo(note, err=True)
    return outcomes, queue.stopping
