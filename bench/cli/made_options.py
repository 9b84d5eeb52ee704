"""The options of verbs that are about what `bench run` has made: whatever `run` can make, they can name."""

from __future__ import annotations

from copy import copy

import click

from bench.cli.options import (
    Function,
    plugin_option,
    references_option,
    scale_option,
    selection_options,
    store_option,
)
from bench.cli.run import run


def made_options(function: Function) -> Function:
    """Every option of `bench run`.

    What says which runs are meant has its usual meaning. What says how they are trained is taken too, so that the
    options of one command fit the next: hidden from --help, checked, and without effect, as these verbs start nothing.
    """
    for option in reversed([scale_option, selection_options, references_option, plugin_option, store_option]):
        function = option(function)
    parameters: list[click.Parameter] = function.__click_params__  # type: ignore[attr-defined]  # of click's decorators
    taken = {parameter.name for parameter in parameters}
    for option in (one for one in run.params if isinstance(one, click.Option) and one.name not in taken):
        hidden = copy(option)
        hidden.hidden, hidden.expose_value = True, False
        parameters.append(hidden)
    return function
