"""What a table of results leaves out of the store's runs, in lines for people."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from bench.plan.expand import Table
from bench.spec.run import readable
from bench.store.runs import Store


def left_out(
    frame: pd.DataFrame,
    every: pd.DataFrame,
    spec: Table,
    scale: str,
    store: Store,
    seeds: list[int] | None,
) -> list[str]:
    """The runs of `frame` that have begun and are not recorded, by status; then the store's finished runs that are
    none of `every`, the table's results before rows were chosen, though they are on its data and protocol.
    """
    other = of_no_row(set(every["uid"]), spec, scale, store, seeds)
    reason = "left out, as they are of no row here or have other settings (--method, --set)"
    return [*_unfinished(frame), *([f"{reason}: {other}"] if other else [])]


def not_shown(
    every: pd.DataFrame, spec: Table, scale: str, store: Store, seeds: list[int] | None
) -> list[str]:
    """A note that names the store's finished runs on this table's data and protocol that are not among `every`.

    Without it a row looks untrained whose plug-in was edited, or whose runs have settings that were not named.
    """
    other = of_no_row(set(every["uid"]), spec, scale, store, seeds)
    reason = "Runs here that are of no row of this table, have other settings (--method, --set)"
    return [f"{reason} or another plug-in's code: {other}."] if other else []


def _unfinished(frame: pd.DataFrame) -> list[str]:
    runs = frame.drop_duplicates("uid")
    counts = runs.loc[~runs["status"].isin(["done", "diverged", "missing"]), "status"].value_counts()
    told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    return [f"left out, as they are not finished or are stale: {told}"] if told else []


def of_no_row(known: set[str], spec: Table, scale: str, store: Store, seeds: list[int] | None) -> str:
    """The store's finished runs on this table's data and protocol that are none of its rows' runs: "disp (2)"."""
    places = {(column.data.model_dump_json(), column.generated, column.reference)
              for column in spec.at(scale).columns.values()}  # fmt: skip
    found: Counter[str] = Counter()
    for folder in store:
        run = folder.spec()
        if run.kind != "train" or run.protocol is None or run.uid in known or folder.result() is None:
            continue
        place = (run.data.model_dump_json(), run.protocol.generated, run.protocol.reference)
        if place in places and (seeds is None or run.seed in seeds):
            found[readable(run.method)] += 1
    return ", ".join(f"{name} ({number})" for name, number in sorted(found.items()))
