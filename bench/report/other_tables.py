"""The rows of another table as baselines: where both score the same data by the same protocol, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.errors import UserError
from bench.plan.expand import Table
from bench.plan.load import load_table, resolve_table
from bench.report.cell_settings import of_column
from bench.report.protocol_differences import of_protocols, of_training
from bench.report.results import load_results
from bench.spec.cell import Scored
from bench.spec.words import data_words
from bench.store.runs import Store

MOST = 4  # differences that an error names


def table_named(name: str) -> Table | None:
    """The table of this name, or of a YAML file; None where there is none. UserError for a file with mistakes."""
    if name.endswith((".yaml", ".yml")):
        return load_table(name)
    try:
        resolve_table(name)
    except UserError:
        return None
    return load_table(name)


def rows_of_table(
    other: Table, spec: Table, method: str, scale: str, store: Store | None, seeds: Sequence[int] | None
) -> tuple[pd.DataFrame, list[str]]:
    """The results of the other table's rows, in our columns, and remarks on what is left out or trained otherwise.

    Raises UserError where it has no run at this scale, no column of our data, or none that is scored as ours is.
    """
    results = load_results(other, scale, store, seeds=seeds)
    trained = results[(results["kind"] == "train") & results["value"].notna()]
    if trained.empty:
        raise UserError(f"the store has no scores of {other.name} at scale {scale}; `bench run` them")
    # Every cell of theirs beside those of ours that have its data
    ours = {column.id: settings for column in spec.columns if (settings := _ours(spec, method, column.id, scale))}
    kept: list[pd.DataFrame] = []
    refused: dict[str, list[str]] = {}
    otherwise: dict[str, list[str]] = {}
    for (row, place), lines in trained.groupby(["row", "column"], sort=False):
        theirs = _theirs(other, str(row), str(place), scale)
        for column, settings in ours.items():
            if theirs is None or theirs.data != settings.data:
                continue
            name = f"{row} in {column}"
            if texts := of_protocols(settings.protocol, theirs.protocol, (spec.snapshot, other.snapshot)):
                refused.setdefault("; ".join(texts), []).append(name)
                continue
            label = f"{row} ({other.name})" if row == method else str(row)
            kept.append(lines.assign(row=label, column=column))
            if text := of_training(spec, method, other, str(row), (column, str(place)), scale):
                otherwise.setdefault(text, []).append(name)
    # What is left, and what is to be said of it
    if not kept:
        raise UserError(_nothing(other, spec, scale, refused, ours))
    remarks = [f"Not compared, scored otherwise (ours first): {text}: {', '.join(names)}."
               for text, names in refused.items()]  # fmt: skip
    remarks += [f"Trained otherwise (ours first): {text}: {', '.join(names)}." for text, names in otherwise.items()]
    return pd.concat(kept, ignore_index=True), remarks


def _ours(spec: Table, method: str, column: str, scale: str) -> Scored | None:
    """The data and the protocol of our method in a column."""
    (place,) = [one for one in spec.columns if one.id == column]
    return _theirs(spec, method, column, scale) or of_column(spec, scale, place)


def _theirs(table: Table, row: str, column: str, scale: str) -> Scored | None:
    """The data and the protocol of a cell that shows runs; None for another one."""
    head = next((one for one in table.rows if one.id == row), None)
    place = next((one for one in table.columns if one.id == column), None)
    if head is None or place is None or table.behind(head, place, scale) is None:
        return None
    return table.shown(head, place, scale)


def _nothing(other: Table, spec: Table, scale: str, refused: dict[str, list[str]], ours: dict[str, Scored]) -> str:
    if refused:
        told = "; ".join(f"{text} ({', '.join(names)})" for text, names in list(refused.items())[:MOST])
        return f"no run of {other.name} at scale {scale} was scored as those of {spec.name} are (ours first): {told}"
    data = dict.fromkeys(data_words(one.data) for one in ours.values())
    theirs = [of_column(other, scale, column) for column in other.columns]
    others = dict.fromkeys(data_words(one.data) for one in theirs if one is not None)
    return (
        f"{other.name} at scale {scale} has no column of the data of {spec.name}: it has {'; '.join(others)}, and ours "
        f"are {'; '.join(data)}"
    )
