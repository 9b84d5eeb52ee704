"""A finished run that a verb names, opened to be sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.cli.finding import find_run
from bench.launch.local.worker_handle import slots
from bench.store.runs import Store

if TYPE_CHECKING:
    from bench.run.reopen import Reopened


def open_run(run: str, store: Store, choice: Mapping[str, Any]) -> Reopened:
    """Open the run and the snapshot that the choices of `run_options` and `snapshot_options` name."""
    folder = find_run(run, store, choice["table"], choice["scale"], choice)

    from bench.run.reopen import reopen

    return reopen(folder, store, choice["snapshot"], slots(1)[0], allow_stale=choice["allow_stale"])
