"""What recording a table leaves out, in lines for people."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from bench.methodspec import readable
from bench.spec import TableSpec
from bench.store import Store


def left_out(
    frame: pd.DataFrame,
    every: pd.DataFrame,
    spec: TableSpec,
    scale: str,
    store: Store,
    seeds: list[int] | None,
) -> list[str]:
    """The runs of `frame` that have begun and are not recorded, by status; then the store's finished runs that are
    none of `every`, the table's results before rows were chosen, though they are on its data and protocol.
    """
    return [*_unfinished(frame), *_of_no_row(set(every["uid"]), spec, scale, store, seeds)]


def _unfinished(frame: pd.DataFrame) -> list[str]:
    runs = frame.drop_duplicates("uid")
    counts = runs.loc[~runs["status"].isin(["done", "diverged", "missing"]), "status"].value_counts()
    told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    return [f"left out, as they are not finished or are stale: {told}"] if told else []


def _of_no_row(
    known: set[str], spec: TableSpec, scale: str, store: Store, seeds: list[int] | None
) -> list[str]:
    """The store's finished runs on this table's data and protocol that are none of its rows' runs."""
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
    told = ", ".join(f"{name} ({number})" for name, number in sorted(found.items()))
    return (
        [f"left out, as they are of no row here or have other settings (--method, --set): {told}"]
        if told
        else []
    )
