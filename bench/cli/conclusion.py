"""The end of `bench run`: what came of the plan's runs, by whom, and an exit status that is true of the whole table."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.core import ParameterSource

from bench.cli.options import named_plugins
from bench.launch.progress import counted
from bench.plan.inputs import Machine
from bench.plan.schedule import Schedule
from bench.store.runs import Status, Store

UNFINISHED = ("planned", "interrupted", "lost")


def conclude(plan: Schedule, outcomes: dict[str, str], store: Store, stopped: bool) -> int:
    """Print the status of the plan's runs at the end of this command, and return its exit status.

    plan: the plan as it was at the beginning. outcomes: uid -> outcome of the runs that this command worked on.
    Returns 0 where every run of the plan is done or has diverged, but for those that --no-train leaves out, and 130
    where this command was stopped before that.
    Returns 1 otherwise: runs failed or are stale, or others work on runs that are not done yet.
    """
    machine = Machine(store)
    # A line for each run of this command that did not end well
    for run in plan.runs:
        outcome, folder = outcomes.get(run.uid), store.folder(run.uid)
        if outcome in ("failed", "blocked", "diverged", "cancelled", "stale"):
            reason = folder.error() if outcome == "failed" else ""
            if outcome == "blocked":
                sources = (store.folder(uid) for uid in run.needs)
                failed_ones = [source.uid for source in sources if source.status() == "failed"]
                reason = f"its source {failed_ones[0]} failed" if failed_ones else ""
            if outcome == "stale":
                reason = "; ".join([*machine.changes(folder), *machine.stale_sources(run.spec)])
            click.echo(f"{outcome}: {run.label} ({run.uid}) {reason or ''}".rstrip(), err=True)
    # What the store has now, which others may have changed meanwhile
    now: dict[str, Status] = {run.uid: machine.status(store.folder(run.uid)) for run in plan.runs}
    blocked = {uid for uid, outcome in outcomes.items() if outcome in ("blocked", "stale")}
    left_out = {run.uid for run in plan.left_out(None)}
    left = [uid for uid, status in now.items() if status in UNFINISHED and uid not in blocked | left_out]
    elsewhere = [uid for uid, status in now.items() if status == "running"]
    failed = [uid for uid, status in now.items() if status in ("failed", "stale")]
    click.echo("; ".join(_sentences(plan, outcomes, now, left, elsewhere)))
    if before := [uid for uid in failed if uid not in outcomes and now[uid] == "failed"]:
        click.echo(f"{counted(len(before))} failed before; --retry failed starts them again", err=True)
    if left and stopped:
        return 130
    return 1 if left or elsewhere or failed or blocked else 0


def _sentences(
    plan: Schedule, outcomes: dict[str, str], now: dict[str, Status], left: list[str], elsewhere: list[str]
) -> list[str]:
    finished = sum(outcome in ("done", "diverged") for outcome in outcomes.values())
    again = f"run the same command{' without --rerun' if plan.again else ''} to continue"
    diverged = sum(outcome == "diverged" for outcome in outcomes.values())
    ended = f"{counted(finished)} finished" + (f" ({diverged} diverged)" if diverged else "")
    sentences = [ended + (f", {len(left)} left: {again}" if left else "")]
    others = sum(run.status == "running" and now[run.uid] in ("done", "diverged") for run in plan.runs)
    if others:
        sentences.append(f"{counted(others)} finished by others meanwhile")
    if elsewhere:
        sentences.append(f"{counted(len(elsewhere))} at work elsewhere, not done yet")
    return sentences


def command_line(verb: str, table: str, options: dict[str, str | list[str] | None]) -> str:
    """`bench VERB TABLE --option value ...` as a shell takes it, with the options that have a value."""
    words = ["bench", verb, table]
    for name, value in options.items():
        for word in [value] if isinstance(value, str) else value or []:
            words += [f"--{name}", word]
    return shlex.join(words)


def same_choice(verb: str, table: str, scale: str, choice: dict[str, Any]) -> str:
    """`bench VERB TABLE` for the same runs as the current command, as a shell takes it."""
    context = click.get_current_context()
    store_named = context.get_parameter_source("store") is ParameterSource.COMMANDLINE
    listed = {
        name: ",".join(map(str, choice[name])) for name in ("rows", "columns", "seeds") if choice[name] is not None
    }
    options = {
        "scale": scale,
        **listed,
        "method": list(choice["methods"]),
        "set": list(choice["settings"]),
        "plugin": named_plugins(choice["plugins"]),
        "store": str(context.params["store"].root) if store_named else None,
    }
    return command_line(verb, table, options)
