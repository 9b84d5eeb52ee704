"""A run or a checkpoint that a verb names, opened to be sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import completing
from bench.cli.finding import find_run
from bench.launch.local.devices import slots
from bench.store.runs import RunFolder, Store

if TYPE_CHECKING:
    from bench.run.reopen import Reopened


def checkpoint_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--checkpoint, --network: a generator from a file in place of a run."""
    checkpoint = click.option(
        "--checkpoint", metavar="FILE",
        help="In place of a run: imported weights (`bench weights import`) by name or file, or a `bench export`.",
    )  # fmt: skip
    network = click.option("--network", metavar="NAME", shell_complete=completing.networks,
                           help="What the checkpoint is of, where the file does not say.")  # fmt: skip
    return checkpoint(network(function))


def open_run(run: str, store: Store, choice: Mapping[str, Any], *, unfinished: bool = False) -> Reopened:
    """Open the run and the snapshot that the choices of `run_options` and `snapshot_options` name.

    unfinished: also a run that is being trained, at its newest checkpoint.
    """
    folder, store = found_run(run, store, choice)

    from bench.run.reopen import reopen

    return reopen(
        folder, store, choice["snapshot"], slots(1)[0], allow_stale=choice["allow_stale"], unfinished=unfinished
    )


def found_run(run: str, store: Store, choice: Mapping[str, Any]) -> tuple[RunFolder, Store]:
    """The run of a store by what people call it, or one anywhere by the path of its folder, with its own store."""
    path = Path(run)
    if (path / "spec.json").is_file():
        elsewhere = Store(path.resolve().parent)
        return elsewhere.folder(path.resolve().name), elsewhere
    return find_run(run, store, choice["table"], choice["scale"], choice), store
