"""The runs of the store that a table of results leaves out, in lines for people."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd

from bench.data.known import is_own
from bench.plan.expand import Table
from bench.plan.load import load_table, table_names
from bench.spec.run import NetworkSpec, Protocol, RunSpec, readable
from bench.store.runs import RunFolder, Store


def left_out(
    frame: pd.DataFrame,
    every: pd.DataFrame,
    spec: Table,
    scale: str,
    store: Store,
    seeds: list[int] | None,
) -> list[str]:
    """Lines on the runs that `bench record` leaves out.

    First the runs of `frame` that have begun and are not finished, by status. Then the store's finished runs on the
    table's data and protocol that are not among `every`, the table's results before rows were chosen.
    """
    other = of_no_row(set(every["uid"]), spec, scale, store, seeds)
    reason = "left out, as they are of no row here or have other settings (--method, --set)"
    return [*_unfinished(frame), *([f"{reason}: {other}"] if other else [])]


def not_shown(every: pd.DataFrame, spec: Table, scale: str, store: Store, seeds: list[int] | None) -> list[str]:
    """A note that names the store's finished runs on this table's data and protocol that are not among `every`.

    Without this note, a row whose plug-in was edited, or whose runs have other settings, would look untrained.
    """
    other = of_no_row(set(every["uid"]), spec, scale, store, seeds)
    reason = "Runs here that are of no row of this table, have other settings (--method, --set)"
    lines = [f"{reason} or another plug-in's code: {other}."] if other else []
    if own := of_own_sets(spec, scale, store, seeds):
        runs = ", ".join(f"{name} ({number})" for name, number in sorted(own.items()))
        lines.append(f"Runs here on data sets of your own: {runs}; --columns {','.join(sorted(own))} shows them.")
    return lines


def _unfinished(frame: pd.DataFrame) -> list[str]:
    runs = frame.drop_duplicates("uid")
    counts = runs.loc[~runs["status"].isin(["done", "diverged", "missing"]), "status"].value_counts()
    states = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    return [f"left out, as they are not finished or are stale: {states}"] if states else []


def of_no_row(known: set[str], spec: Table, scale: str, store: Store, seeds: list[int] | None) -> str:
    """The methods of the store's finished runs on this table's data that belong to no row: "disp (2)".

    Those of another table that ships are not named: they are left out of nothing.
    """
    cells = [spec.cell(row, column, scale) for row, column in spec.trained_cells(scale)]
    evaluated = [pair for pair in spec.trained_cells(scale) if spec.evaluates(*pair, scale)]
    seen = {folder.spec().seed for folder in store} if evaluated else set()
    known = known | {spec.run_spec(*pair, seed, scale).uid for pair in evaluated for seed in seen}
    places = {(cell.data.model_dump_json(), cell.protocol.generated, cell.protocol.reference) for cell in cells}
    others: list[RunSpec] = []
    for folder in store:
        if folder.uid in known:  # most runs are, and 10,000 specs take seconds to read
            continue
        run = folder.spec()
        if run.kind != "train" or run.protocol is None or run.uid in known or folder.result() is None:
            continue
        place = (run.data.model_dump_json(), run.protocol.generated, run.protocol.reference)
        if place in places and (seeds is None or run.seed in seeds):
            others.append(run)
    elsewhere = _of_tables(scale, {run.seed for run in others})
    counts = Counter(readable(run.method) for run in others if run.uid not in elsewhere)
    return ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))


def _of_tables(scale: str, seeds: set[int]) -> set[str]:
    """The uids of the trainings of every table that ships."""
    if not seeds:
        return set()
    tables = [table for name in table_names() if scale in (table := load_table(name, scale=scale)).scales]
    cells = ((table, row, column) for table in tables for row, column in table.trained_cells(scale))
    return {table.run_spec(row, column, seed, scale).uid for table, row, column in cells for seed in seeds}


def of_own_sets(spec: Table, scale: str, store: Store, seeds: list[int] | None) -> Counter[str]:
    """How many of the store's finished runs are scored by this table on which of the user's own sets, no columns here.

    They have the network and the protocol of one of its cells, but for the counts.
    """
    cells = [spec.cell(row, column, scale) for row, column in spec.trained_cells(scale)]
    columns = {cell.data.name for cell in cells}
    kinds = {_scored_alike(cell.network, cell.protocol) for cell in cells}
    counts: Counter[str] = Counter()
    for folder in store:
        if _data_of(folder) in columns:
            continue
        run = folder.spec()
        if run.kind != "train" or run.protocol is None or folder.result() is None:
            continue
        like = run.network is not None and _scored_alike(run.network, run.protocol) in kinds
        if like and is_own(run.data.name) and (seeds is None or run.seed in seeds):
            counts[run.data.name] += 1
    return counts


def _data_of(folder: RunFolder) -> str:
    """The data set of a stored run, without a check of the rest of its spec. UserError for a record that is no spec."""
    try:
        return str(folder.plain_spec()["data"]["name"])
    except (KeyError, TypeError):
        return folder.spec().data.name  # which says what is wrong with it


def _scored_alike(network: NetworkSpec, protocol: Protocol) -> tuple[str, str]:
    """What two runs have in common that a table can show side by side: all but data, training and counts.

    A record has a network's options in the order of their names, a table's file in any.
    """
    options = json.dumps(network.model_dump(mode="json"), sort_keys=True)
    return options, protocol.model_dump_json(exclude={"generated", "reference"})
