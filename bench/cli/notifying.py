"""--notify: a webhook that is told when `bench run` ends and when one of its runs fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from bench.launch.webhook import Webhook, usual_address
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

Function = TypeVar("Function", bound=Callable[..., Any])
BAD = ("failed", "blocked", "stale")  # outcomes after which a command has not done what it was asked to


def notify_option(function: Function) -> Function:
    """--notify: the value is the address in force, or None."""
    return click.option(
        "--notify", metavar="URL", callback=_address,
        help="A webhook (http or https) that is sent a small JSON when all is over, and of each run that fails "
        "[default: $BENCH_NOTIFY, or the project file's].",
    )(function)  # fmt: skip


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if ctx.resilient_parsing else usual_address(value)


class Notifier:
    """What `bench run` tells a webhook; nothing where there is none."""

    def __init__(self, address: str | None, what: str, runs: Sequence[PlannedRun], store: Store) -> None:
        self.webhook = Webhook(address) if address is not None and runs else None
        self.what, self.runs, self.store, self.begun = what, runs, store, time.monotonic()

    def ended(self, outcomes: Mapping[str, str], stopped: bool) -> None:
        """Tell that the command has ended, and wait until that is delivered or given up."""
        bad = any(outcome in BAD for outcome in outcomes.values())
        self._tell(outcomes, "failed" if bad else "stopped" if stopped else "done")

    def crashed(self) -> None:
        """Tell that the command has ended before its work."""
        self._tell({}, "failed")

    def _tell(self, outcomes: Mapping[str, str], state: str) -> None:
        if self.webhook is None:
            return
        from bench.launch.notices import command_ended

        hours = (time.monotonic() - self.begun) / 3600
        self.webhook.send(command_ended(self.what, self.runs, outcomes, self.store, state, hours))
        self.webhook.close()
