"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.errors import UserError
from bench.paths import store_root
from bench.spec import SCALES, TableSpec, load_table
from bench.store import Store

Function = TypeVar("Function", bound=Callable[..., Any])


def store_option(function: Function) -> Function:
    """--store DIR, as a Store."""
    return click.option(
        "--store", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
        callback=lambda ctx, param, value: Store(value or store_root()),
        help="Where runs are kept [default: $BENCH_STORE or results/runs].",
    )(function)  # fmt: skip


def plugin_option(function: Function) -> Function:
    """--plugin FILE.py, loaded before anything else is read; the value is the list of files."""
    return click.option(
        "--plugin", "plugins", multiple=True, metavar="FILE.py", is_eager=True, callback=_load_plugins,
        help="A file with a method or a data set of your own.",
    )(function)  # fmt: skip


def scale_option(function: Function) -> Function:
    """--scale."""
    return click.option(
        "--scale", type=click.Choice(SCALES), default="smoke", show_default=True,
        help="smoke: seconds a run; mini: minutes; paper: the paper's protocol, on GPUs.",
    )(function)  # fmt: skip


def starting_options(function: Function) -> Function:
    """--retry, --rerun: which runs start that would be left alone otherwise."""
    retry = click.option(
        "--retry", type=click.Choice(["failed", "lost", "all"]), help="Also start failed or lost runs."
    )
    rerun = click.option(
        "--rerun", is_flag=True,
        help="Also do the rows' finished runs again; the old ones are kept in set-aside/ of the store.",
    )  # fmt: skip
    return retry(rerun(function))


def selection_options(function: Function) -> Function:
    """--rows, --columns, --seeds, --method, --set: which runs of a table are meant."""
    for option in reversed(
        [
            click.option(
                "--rows", callback=_names, metavar="A,B", help="Rows by id; 'controls' for the control rows."
            ),
            click.option("--columns", callback=_names, metavar="A,B", help="Columns by id."),
            click.option("--seeds", metavar="0..2", help="Seeds [default: the table's]."),
            click.option(
                "--method",
                "methods",
                multiple=True,
                metavar="EXPR",
                help="Add a row of your own, e.g. 'mine + disp'.",
            ),
            click.option(
                "--set", "settings", multiple=True, metavar="KEY=VALUE", help="e.g. --set train.steps=50"
            ),
        ]
    ):
        function = option(function)
    return function


def table_with(name: str, settings: tuple[str, ...]) -> TableSpec:
    """The table of a name with the --set overrides applied."""
    from bench.tablefile import parse_setting

    return load_table(name, dict(parse_setting(text) for text in settings))


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    names = None if value is None else [name.strip() for name in value.split(",") if name.strip()]
    if names == []:
        raise UserError(
            f"{param.opts[0]} '{value}' names nothing; write ids with commas between, or leave it out"
        )
    return names


def _load_plugins(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[str]:
    if value:
        from bench.registry import load_plugin

        for path in value:
            load_plugin(path)
    return [str(Path(path).resolve()) for path in value]
