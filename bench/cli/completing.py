"""What a shell is told when a user presses TAB: tables, rows, columns, methods, runs, by the names that verbs take.

Each function is what click calls for a value (`shell_complete`): of the command line so far and the beginning of a word
it gives the words that would fit. None imports what trains, loads a plug-in or raises: a shell shows no errors here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.errors import UserError

Words = list[CompletionItem]
Completer = Callable[[click.Context, click.Parameter, str], Words]
FILE = CompletionItem("", type="file")  # the shell's own completion of paths


def _quiet(names: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Words that begin as the user has begun; where none does, paths, as most names may also be a file's."""

    @wraps(names)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Words:
        return _fitting(ctx, names, incomplete) or [FILE]

    return complete


def _listed(names: Callable[[click.Context], Iterable[str]]) -> Completer:
    """The same for the last word of a list with commas, without the words that are in it already."""

    @wraps(names)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> Words:
        before, comma, last = incomplete.rpartition(",")
        there = before.split(",")
        return [CompletionItem(before + comma + word.value) for word in _fitting(ctx, names, last)
                if word.value not in there]  # fmt: skip

    return complete


def _fitting(ctx: click.Context, names: Callable[[click.Context], Iterable[str]], begun: str) -> Words:
    try:
        return [CompletionItem(name) for name in dict.fromkeys(names(ctx)) if name.startswith(begun)]
    except (UserError, OSError):  # a project file or table with a mistake, a store that cannot be read
        return []


def _tables(ctx: click.Context) -> Iterator[str]:
    """Every table by its name, those of `disp` also by their last part, as verbs take them."""
    from bench.plan.table_files import table_names

    yield from table_names()
    yield from (name.removeprefix("disp/") for name in table_names() if name.startswith("disp/"))


def _tables_or_all(ctx: click.Context) -> Iterator[str]:
    from bench.plan.table_files import ALL

    yield ALL
    yield from _tables(ctx)


def _runs(ctx: click.Context) -> Iterator[str]:
    """The ids of the runs in the store."""
    from bench.plan.folders import store_root
    from bench.store.runs import Store

    store = ctx.params.get("store")
    yield from (store if isinstance(store, Store) else Store(store_root())).uids()


def _tables_or_runs(ctx: click.Context) -> Iterator[str]:
    yield from _tables_or_all(ctx)
    yield from _runs(ctx)


def _rows(ctx: click.Context) -> Iterator[str]:
    yield from (row.id for row in _table(ctx).rows)
    yield "controls"


def _columns(ctx: click.Context) -> Iterator[str]:
    yield from (column.id for column in _table(ctx).columns)


def _table(ctx: click.Context) -> Any:
    """The table that the command line names so far. Raises UserError where it names none."""
    from bench.plan.load import load_table

    # What stands before an option that still lacks its value has not been given to an argument yet
    named = [ctx.params.get("table"), *(ctx.params.get("tables") or ()), ctx.params.get("target"), *ctx.args]
    if not (names := [name for name in named if name]):
        raise UserError("no table is named yet")
    return load_table(names[0])


def _methods(ctx: click.Context) -> Iterator[str]:
    from bench.contract.discovery import methods

    yield from (entry.name for entry in methods())


def _datasets(ctx: click.Context) -> Iterator[str]:
    from bench.data.known import datasets

    yield from (entry.name for entry in datasets())


def _networks(ctx: click.Context) -> Iterator[str]:
    from bench.networks import names

    yield from names()


def _metrics(ctx: click.Context) -> Iterator[str]:
    from bench.metrics.measures import measures

    yield from (entry.name for entry in measures())


def _recorded(ctx: click.Context) -> Iterator[str]:
    from bench.report.recorded import recorded_sets

    yield from recorded_sets()


def _profiles(ctx: click.Context) -> Iterator[str]:
    from bench.launch.slurm.profile_load import shipped

    yield from shipped()


tables, tables_or_all, runs, tables_or_runs = map(_quiet, (_tables, _tables_or_all, _runs, _tables_or_runs))
rows, columns, metrics = map(_listed, (_rows, _columns, _metrics))
methods, datasets, networks, profiles = map(_quiet, (_methods, _datasets, _networks, _profiles))
recorded = _quiet(_recorded)
