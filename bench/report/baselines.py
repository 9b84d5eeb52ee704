"""What a method is compared with: a recorded set, the other rows of one's own store, or the rows of another table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.errors import UserError, did_you_mean
from bench.plan.expand import Table
from bench.report.origins import ENDED, stale_notes, unlike
from bench.report.other_tables import rows_of_table, table_named
from bench.report.picture_rows import PREFIX, picture_lines, remarks, with_pictures
from bench.report.recorded import holdings, load_recorded, recorded_sets
from bench.store.runs import Store

OWN = "runs"  # the name of one's own store among the recorded sets


def baselines_of(
    name: str,
    spec: Table,
    scale: str,
    ours: pd.DataFrame,
    method: str,
    rows: Sequence[str] | None,
    seeds: Sequence[int] | None,
    store: Store | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The result lines to compare `method` with, and remarks on what was left out.

    name: a recorded set, "runs" for the other rows of `ours` (from `load_results`), or a table, for its rows in the
    store; a recorded set comes before a table of its name.
    rows, seeds: keep only these; None keeps all. store: of a table's rows; None: the usual one.
    Raises UserError if nothing is left; the message lists what the set holds.
    """
    said: list[str] = []
    # The candidates: rows of the own store, or a recorded set made with the settings of this table.
    if name == OWN:
        baselines = ours[(ours["kind"] == "train") & (ours["row"] != method) & ours["value"].notna()]
        if baselines.empty:
            raise UserError(f"the store has no scores of other rows of {spec.name} at scale {scale}; `bench run` them")
    elif name not in recorded_sets() and (other := table_named(name)) is not None:
        baselines, said = rows_of_table(other, spec, method, scale, store, seeds)
    else:
        baselines = load_recorded(name, spec.name, scale)
        if baselines.empty and spec.same_as is not None:
            baselines = load_recorded(name, spec.same_as, scale)
        if baselines.empty:
            held = "; ".join(f"{table} at {at} ({runs} runs)" for table, at, runs in holdings(name))
            raise UserError(
                f"recorded set '{name}' holds nothing of {spec.name} at scale {scale}; it holds {held or 'nothing'}. "
                "--against runs compares with the rows of this store"
            )
        baselines, said = _of_these_settings(name, spec, scale, baselines)
    # The user's choice of rows and seeds, then only what was made from the same inputs as our runs.
    if rows is not None:
        ids = [row for name in rows for row in _named(name, spec, baselines)]
        baselines = baselines[(baselines["kind"] != "train") | baselines["row"].isin(ids)]
    if seeds is not None:
        baselines = baselines[baselines["seed"].isin(seeds)]
    baselines, more = _of_these_inputs(name, ours[ours["row"] == method], baselines)
    return baselines, [*said, *more, *stale_notes(ours), *remarks(pd.concat([ours, baselines]))]


def _of_these_inputs(name: str, ours: pd.DataFrame, baselines: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Drop the baselines that were made from other data, weights or extractors than the method's own runs."""
    trained = baselines[baselines["kind"] == "train"]
    differing = unlike(ours[ours["status"].isin(ENDED)], trained)
    remarks = [
        f"Left out of '{name}', made from other inputs than ours: {row} · {column}: {changed}."
        for (row, column), changed in differing.items()
    ]
    kept = baselines[[pair not in differing for pair in zip(baselines["row"], baselines["column"], strict=True)]]
    if (kept.loc[kept["kind"] == "train", "inputs"] == "").any():
        remarks.append(f"Of '{name}', inputs not recorded: whether data and weights were ours is not known.")
    if kept[kept["kind"] == "train"].empty and differing:
        raise UserError(f"'{name}' has no baseline that was made from our inputs: {' '.join(remarks)}")
    return kept, remarks


def _named(name: str, spec: Table, baselines: pd.DataFrame) -> list[str]:
    if name == "controls":
        return [row.id for row in spec.pick_rows([name])]
    ids = list(dict.fromkeys(baselines.loc[baselines["kind"] == "train", "row"]))
    if name not in ids:
        raise UserError(f"no scores of a row '{name}' to compare with; {did_you_mean(name, ids)}")
    return [name]


def _of_these_settings(name: str, spec: Table, scale: str, baselines: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Drop the runs that differ from what the table, with its --set, plans for their cell and seed.

    Such runs were made under other settings or by another version of a part. Rows that the table does not know
    cannot be checked.
    """
    rows = {row.id: row for row in spec.rows if row.printed_only is None}
    columns = {column.id: column for column in spec.columns}
    runs = baselines.loc[baselines["kind"] == "train", ["row", "column", "seed", "uid"]].drop_duplicates()
    differing: dict[str, set[str]] = {}
    current = {line["uid"] for line in picture_lines(with_pictures(spec, scale, name), scale, name)}
    pictures = runs["uid"].astype(str).str.startswith(PREFIX)
    unknown = sorted(set(runs.loc[~pictures, "row"]) - rows.keys())
    for row, uid in runs.loc[pictures, ["row", "uid"]].itertuples(index=False, name=None):
        if uid not in current:
            differing.setdefault(row, set()).add(uid)
    # A run's uid is the hash of its settings: another uid in the same cell and seed means other settings.
    for row, column, seed, uid in runs.itertuples(index=False, name=None):
        in_table = row in rows and column in columns
        if in_table and spec.run_spec(rows[row], columns[column], int(seed), scale).uid != uid:
            differing.setdefault(row, set()).add(uid)
    remarks = []
    if differing:
        remarks.append(
            f"Left out of '{name}', recorded with other settings or versions than asked for: "
            + ", ".join(f"{row} ({len(uids)} runs)" for row, uids in differing.items())
            + "."
        )
    if unknown:
        remarks.append(
            f"Of '{name}', not checked for equal settings, as the table has no such row: {', '.join(unknown)}."
        )
    left_out = {uid for uids in differing.values() for uid in uids}
    kept = baselines[~baselines["uid"].isin(left_out)]
    if kept[kept["kind"] == "train"].empty:
        raise UserError(
            f"recorded set '{name}' holds {spec.name} at scale {scale} with other settings only; "
            "--against runs compares with the rows of this store"
        )
    return kept, remarks
