"""What a method is compared with: a recorded set, or the other rows of one's own store."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.errors import UserError, did_you_mean
from bench.plan.expand import Table
from bench.report.origins import ENDED, stale_notes, unlike
from bench.report.recorded import holdings, load_recorded

OWN = "runs"  # the name of one's own store among the recorded sets


def baselines_of(
    name: str,
    spec: Table,
    scale: str,
    ours: pd.DataFrame,
    method: str,
    rows: Sequence[str] | None,
    seeds: Sequence[int] | None,
) -> tuple[pd.DataFrame, list[str]]:
    """The tidy lines to compare `method` with, and remarks on what was left out.

    name: a recorded set, or "runs" for the other rows of `ours` (from `load_results`). rows, seeds: these alone.
    Raises UserError if nothing is left, saying what there is.
    """
    remarks: list[str] = []
    if name == OWN:
        found = ours[(ours["kind"] == "train") & (ours["row"] != method) & ours["value"].notna()]
        if found.empty:
            raise UserError(
                f"the store has no scores of other rows of {spec.name} at scale {scale}; `bench run` them"
            )
    else:
        found = load_recorded(name, spec.name, scale)
        if found.empty:
            held = "; ".join(f"{table} at {at} ({runs} runs)" for table, at, runs in holdings(name))
            raise UserError(
                f"recorded set '{name}' holds nothing of {spec.name} at scale {scale}; it holds {held or 'nothing'}. "
                "--against runs compares with the rows of this store"
            )
        found, remarks = _of_these_settings(name, spec, scale, found)
    if rows is not None:
        wanted = [row for name in rows for row in _named(name, spec, found)]
        found = found[(found["kind"] != "train") | found["row"].isin(wanted)]
    if seeds is not None:
        found = found[found["seed"].isin(seeds)]
    found, more = _of_these_inputs(name, ours[ours["row"] == method], found)
    return found, [*remarks, *more, *stale_notes(ours)]


def _of_these_inputs(name: str, ours: pd.DataFrame, found: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Without the baselines that were made from other data, weights or extractors than the method's own runs."""
    trained = found[found["kind"] == "train"]
    other = unlike(ours[ours["status"].isin(ENDED)], trained)
    remarks = [
        f"Left out of '{name}', made from other inputs than ours: {row} · {column}: {changed}."
        for (row, column), changed in other.items()
    ]
    kept = found[[pair not in other for pair in zip(found["row"], found["column"], strict=True)]]
    if (kept.loc[kept["kind"] == "train", "inputs"] == "").any():
        remarks.append(f"Of '{name}', inputs not recorded: whether data and weights were ours is not known.")
    if kept[kept["kind"] == "train"].empty and other:
        raise UserError(f"'{name}' has no baseline that was made from our inputs: {' '.join(remarks)}")
    return kept, remarks


def _named(name: str, spec: Table, found: pd.DataFrame) -> list[str]:
    if name == "controls":
        return [row.id for row in spec.pick_rows([name])]
    known = list(dict.fromkeys(found.loc[found["kind"] == "train", "row"]))
    if name not in known:
        raise UserError(f"no scores of a row '{name}' to compare with; {did_you_mean(name, known)}")
    return [name]


def _of_these_settings(
    name: str, spec: Table, scale: str, found: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Without the runs that are not what the table, with its --set, plans for their cell and seed: they were made
    under other settings or by another version of a part. Rows that the table does not know cannot be checked.
    """
    rows, columns = {row.id: row for row in spec.rows}, {column.id: column for column in spec.columns}
    runs = found.loc[found["kind"] == "train", ["row", "column", "seed", "uid"]].drop_duplicates()
    other: dict[str, set[str]] = {}
    unknown = sorted(set(runs["row"]) - rows.keys())
    for row, column, seed, uid in runs.itertuples(index=False, name=None):
        known = row in rows and column in columns
        if known and spec.run_spec(rows[row], columns[column], int(seed), scale).uid != uid:
            other.setdefault(row, set()).add(uid)
    remarks = []
    if other:
        remarks.append(
            f"Left out of '{name}', recorded with other settings or versions than asked for: "
            + ", ".join(f"{row} ({len(uids)} runs)" for row, uids in other.items())
            + "."
        )
    if unknown:
        remarks.append(
            f"Of '{name}', not checked for equal settings, as the table has no such row: {', '.join(unknown)}."
        )
    left_out = {uid for uids in other.values() for uid in uids}
    kept = found[~found["uid"].isin(left_out)]
    if kept[kept["kind"] == "train"].empty:
        raise UserError(
            f"recorded set '{name}' holds {spec.name} at scale {scale} with other settings only; "
            "--against runs compares with the rows of this store"
        )
    return kept, remarks
