"""The column of a table under whose protocol `bench evaluate` scores, as its options name it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli.conclusion import command_line
from bench.cli.options import table_with
from bench.errors import UserError
from bench.plan.load import load_table, table_names

if TYPE_CHECKING:
    from bench.plan.expand import Table
    from bench.report.evaluation import Setting

OPTIONS = {"name": "as"}  # of parameters that are not called like their option


def refuse_idle(names: Sequence[str], beside: str) -> None:
    """Raise UserError for an option that has no effect beside what else was asked for."""
    for name in names:
        if is_given(name):
            option = OPTIONS.get(name, name).replace("_", "-")
            raise UserError(f"--{option} has no effect beside {beside}; leave it out")


def is_given(name: str) -> bool:
    """Whether an option of this call stands on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def setting_of(choice: dict[str, Any], *, sampled: bool = False) -> Setting:
    """The column whose protocol the options name. sampled: whether the images are drawn here, by the seed."""
    from bench.report.evaluation import Setting
    from bench.report.pick_column import pick_column

    table, scale = table_of(choice), choice["scale"]
    asked = (choice[name] for name in ("dataset", "resolution", "column", "protocol", "measures"))
    column = pick_column(table, scale, *asked)
    name = table.name if choice["protocol"] is not None and not is_given("table") else choice["table"]
    command = command_line("run", name, {"scale": scale, "columns": column.id})
    setting = Setting(table, scale, column, choice["measures"], choice["seed"], command)
    if choice["name"] is None and not sampled and not setting.seed_matters:
        refuse_idle(("seed",), f"column {column.id}, whose reference is the same for every seed")
    return setting


def table_of(choice: dict[str, Any]) -> Table:
    """The table, with a further column where --column or --dataset names a data set that none of its columns has.

    With --protocol alone it is the first that scores under that protocol.
    """
    from bench.data.known import datasets
    from bench.report.pick_column import table_with_protocol

    name, dataset = choice["column"], choice["dataset"]
    if choice["protocol"] is not None and not is_given("table"):
        tables = (load_table(each) for each in table_names())
        return table_with_protocol(tables, choice["scale"], choice["protocol"], dataset)
    table = table_with(choice["table"], columns=[name] if name else None)
    has = {scored.data.name for scored in table.scored_columns(choice["scale"]).values()}
    if name is None and dataset is not None and dataset in datasets() and dataset not in has:
        return table_with(choice["table"], columns=[dataset])
    return table
