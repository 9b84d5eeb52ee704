"""The results that a verb is about: those of a table's chosen rows, columns, seeds and reference points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cli.options import shown_rows
from bench.plan.expand import Table
from bench.store.runs import Store


def chosen_results(
    spec: Table, scale: str, store: Store, choice: Mapping[str, Any]
) -> tuple[Any, Any]:  # data frames: pandas is imported once they are made
    """(chosen, every): the results of a table that --rows, --columns, --seeds and --no-references choose, and all.

    Without --rows it is every row that has runs, controls and rows of one's own among them. Raises UserError for
    unknown names.
    """
    from bench.report.results import load_results

    named = shown_rows(spec, choice)
    every = load_results(spec, scale, store, seeds=choice["seeds"], asked=named or ())
    of_points = every["kind"] == "reference"
    chosen = every if choice["references"] else every[~of_points]
    if choice["rows"] is not None:
        chosen = chosen[of_points.loc[chosen.index] | chosen["row"].isin(named or ())]
    if choice["columns"] is not None:
        columns = [column.id for column in spec.pick_columns(choice["columns"])]
        chosen = chosen[chosen["column"].isin(columns)]
    return chosen, every
