"""`bench submit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from bench.cli import completing
from bench.cli.all_tables import tell_of_waiting
from bench.cli.conclusion import same_choice
from bench.cli.cost_lines import keep_to_budget
from bench.cli.impossible import refuse_impossible
from bench.cli.notifying import notify_option
from bench.cli.options import work_options
from bench.cli.planning import (
    build_data,
    plan_of,
    refuse_missing_weights,
    refuse_unwritable,
    say_other_code,
    summarise,
)
from bench.cli.stale_lines import set_old_aside
from bench.errors import UserError
from bench.launch.progress import counted
from bench.launch.slurm.commands import ClusterError
from bench.launch.slurm.limits import check_against_cluster, max_array_size
from bench.launch.slurm.packing import Array
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.profile_load import load_profile
from bench.launch.slurm.records import folder_of, new_id, one_at_a_time, submissions
from bench.launch.slurm.retries import send, split
from bench.launch.slurm.status import IN_HAND, Survey
from bench.launch.slurm.submit import Request, arrays_of, script
from bench.plan.cost.model import Card
from bench.plan.estimate import Estimates
from bench.run.settings import checkpoint_seconds
from bench.store.runs import Store

UNCHECKED_ARRAY = 1001  # SLURM's own default, for a dry run away from any cluster


@click.command()
@click.option(
    "--profile",
    metavar="FILE",
    shell_complete=completing.profiles,
    help="A site profile, by path or shipped name [default: $BENCH_SLURM_PROFILE].",
)
@work_options(click.option("--dry-run", is_flag=True, help="Print the batch scripts; submit nothing."), notify_option)
def submit(
    table: str,
    profile: str | None,
    scale: str,
    retry: Any,
    dry_run: bool,
    notify: str | None,
    budget: float | None,
    card: Card,
    store: Store,
    **choice: Any,
) -> None:
    """Train what TABLE is missing on a SLURM cluster: job arrays, sources first. Returns at once.

    ALL is every table. What is done, queued or running is left alone. Submit again after failures, cancelled jobs or
    lost nodes: every run continues from its last checkpoint.
    """
    checkpoint_seconds()  # refuses a bad setting before anything starts
    settings = load_profile(profile)
    plan = plan_of(table, scale, store, choice)
    tell_of_waiting(plan)
    refuse_missing_weights(plan)
    # Jobs with a container or Python of their own may have packages that this machine lacks
    outside = "container" in settings.model_fields_set or "python" in settings.model_fields_set
    refuse_impossible(plan, table, choice, here=not (outside or dry_run))
    cost = summarise(plan, store, retry, card)
    starting = keep_to_budget(plan.to_start(retry), cost, budget)
    request = Request(plan.name, scale, starting, settings, profile or "", tuple(choice["plugins"]), notify)
    if dry_run:
        _print_scripts(request, store)
        return
    refuse_unwritable(store)
    check_against_cluster(settings)
    build_data(starting)
    with one_at_a_time(store):
        # Asked inside the lock: what somebody else has submitted meanwhile is in the queue by now
        survey = Survey.of(store, submissions(store), [run.uid for run in plan.runs])
        if survey.silent is not None:
            raise UserError(f"the cluster does not answer ({survey.silent}); nothing was submitted")
        in_hand = {run.uid for run in plan.runs if survey.status_of(run.uid, run.label).state in IN_HAND}
        if in_hand:
            left = sum(run.uid not in in_hand for run in starting)
            click.echo(f"{counted(len(in_hand))} queued or at work already; {left} to send")
        runs = [run for run in starting if run.uid not in in_hand]
        # What the user should know before the jobs go
        say_other_code(runs, store)
        failed = [run for run in plan.runs if run.status == "failed" and run.uid not in cost.spans]
        if failed:
            click.echo(f"{counted(len(failed))} failed before; --retry failed submits them again", err=True)
        if runs:
            parts = split(replace(request, runs=runs), survey, click.echo, asked=retry is not None)
            set_old_aside(plan, [run for part in parts for run in part.runs], store)
            _send(parts, settings, store, survey)
            click.echo(f"how it goes: {same_choice('status', table, scale, choice)}")


def _send(parts: list[Request], profile: Profile, store: Store, survey: Survey) -> None:
    def queued(uid: str) -> str | None:
        task = survey.task(uid)
        return task.job.partition("_")[0] if task is not None else None

    for arrays, sent in send(parts, profile, store, queued, click.echo):
        for array, record in zip(arrays, sent.arrays, strict=True):
            click.echo(f"job {record.number}: {_contents(array)}")
        click.echo(f"submission {sent.id}")


def _contents(array: Array) -> str:
    runs, jobs = counted(len(array.runs)), counted(len(array.jobs), "job")
    after = f", after {counted(len(array.after), 'other array')}" if array.after else ""
    return f"{runs} in {jobs}, at most {array.parallel} at once{after}"


def _print_scripts(request: Request, store: Store) -> None:
    """Print the batch scripts; a job that does not exist yet is named by its array, not by a number."""
    try:
        check_against_cluster(request.profile)
        largest = max(1, max_array_size())
    except ClusterError as error:
        largest = UNCHECKED_ARRAY
        click.echo(f"not checked against a cluster: {error}", err=True)
    arrays = arrays_of(request, Estimates.measured(store, request.runs), largest)
    submission_id = new_id(request.table)
    for position, array in enumerate(arrays):
        after = [f"<array {number}>" for number in sorted(array.after)]
        click.echo(f"\n# array {position}: {_contents(array)}")
        click.echo(script(request, store, submission_id, position, array, after))
    click.echo(f"# {len(arrays)} calls of sbatch; logs and records go to {folder_of(store, submission_id)}")
