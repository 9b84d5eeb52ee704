"""From run folders and recorded sets to one tidy table of scores."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bench import atomic, features
from bench.errors import UserError, did_you_mean
from bench.metrics.scores import version_of
from bench.paths import recorded_root, store_root
from bench.spec import RunSpec, TableSpec, load_table
from bench.store import RunFolder, Store

# One line per (row, column, metric, extractor, seed, snapshot step). `kind` is "train" or "reference"
# (row then names the reference point), `commit` the code of the run's last start, `origin` "runs" or
# "recorded:<set>".
REQUIRED = (
    "row", "column", "metric", "extractor", "seed", "step", "value", "error", "n_generated", "n_reference",
    "status", "uid", "origin", "kind", "commit",
)  # fmt: skip
# Columns that came later, each with its value where a line has none: older recorded sets lack them, and a set in
# which all have that value is written without. `version`: of the score's meaning (bench.metrics.scores.VERSIONS).
OPTIONAL: dict[str, Any] = {"version": 1}
COLUMNS = (*REQUIRED, *OPTIONAL)
RECORDED_COLUMNS = ("table", "scale", *REQUIRED)


def load_results(
    table: str | TableSpec, scale: str, store: Store | None = None, recorded: str | None = None
) -> pd.DataFrame:
    """All scores of a table at a scale, one line per row, column, metric, seed and step: `COLUMNS`.

    status: done, diverged, running, interrupted, lost, failed or missing. A run without any score has one
    line per metric with a nan value, so that nothing that was planned can go unseen; control rows
    and seeds beyond the table's own appear once they have a run folder. recorded: a
    recorded set that fills in for runs which the store lacks, matched by the run's identity. Raises
    UserError for unknown names.
    """
    spec = load_table(table) if isinstance(table, str) else table
    spec.at(scale)
    store = store or Store(store_root())
    kept = _recorded_lines(recorded, spec.name, scale) if recorded else {}
    lines: list[dict[str, Any]] = []
    seeds = _seeds_in(store) | {int(line["seed"]) for run_lines in kept.values() for line in run_lines}
    for names, run, planned in _runs(spec, scale, seeds):
        folder = store.folder(run.uid)
        if (folder.path / "spec.json").exists():
            lines += [{**names, **line} for line in _folder_lines(folder, run)]
        elif run.uid in kept:
            lines += [{**line, **names} for line in kept[run.uid]]
        elif planned:
            lines += [{**names, **line} for line in _empty_lines(run, "missing")]
    return _frame(lines, COLUMNS)


def recorded_sets(root: Path | None = None) -> list[str]:
    """The names of the recorded sets of our own runs (the papers' printed numbers are not one)."""
    folders = (root or recorded_root()).iterdir()
    return sorted(path.name for path in folders if path.is_dir() and path.name != "paper")


def load_recorded(
    name: str, table: str | None = None, scale: str | None = None, root: Path | None = None
) -> pd.DataFrame:
    """The scores of a recorded set, optionally of one table and scale: `COLUMNS` after table and scale.

    Raises UserError for an unknown set or a malformed file.
    """
    known = recorded_sets(root)
    if name not in known:
        raise UserError(f"unknown recorded set '{name}'; {did_you_mean(name, known)}")
    frames = [_read_recorded(path) for path in sorted(((root or recorded_root()) / name).glob("*.csv"))]
    frame = pd.concat(frames, ignore_index=True) if frames else _frame([], (*RECORDED_COLUMNS, *OPTIONAL))
    if table is not None:
        frame = frame[frame["table"] == table]
    if scale is not None:
        frame = frame[frame["scale"] == scale]
    return frame.reset_index(drop=True)


def save_recorded(frame: pd.DataFrame, name: str, table: str, scale: str, root: Path | None = None) -> Path:
    """Keep the finished runs of `frame` (from `load_results`) in the recorded set `name`; returns the file.

    Raises UserError if nothing is finished or the name is not fit for a folder.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name == "paper":
        raise UserError(
            f"recorded set '{name}': use lower-case letters, digits, dots and dashes, and not 'paper'"
        )
    done = frame[frame["status"].isin(["done", "diverged"])].copy()
    if done.empty:
        raise UserError(f"nothing of {table} at scale {scale} is finished; `bench status` shows its runs")
    done["origin"] = f"recorded:{name}"
    done.insert(0, "table", table)
    done.insert(1, "scale", scale)
    path = (root or recorded_root()) / name / f"{table.replace('/', '-')}-{scale}.csv"
    told = [name for name, absent in OPTIONAL.items() if (done[name] != absent).any()]
    atomic.write_text(path, done[[*RECORDED_COLUMNS, *told]].to_csv(index=False))
    return path


def _runs(spec: TableSpec, scale: str, seeds: set[int]) -> Iterator[tuple[dict[str, Any], RunSpec, bool]]:
    """Every run the table may have: what names its lines, its spec, whether the table itself plans it."""
    every = sorted(seeds | set(range(spec.seeds)))
    for column in spec.columns:
        for row in spec.rows:
            if row.printed_only is not None:
                continue
            for seed in every:
                names = {"row": row.id, "column": column.id, "seed": seed, "kind": "train"}
                yield names, spec.run_spec(row, column, seed, scale), seed < spec.seeds and not row.control
        for point in spec.references:
            for seed in every:
                names = {"row": point, "column": column.id, "seed": seed, "kind": "reference"}
                yield names, spec.reference_spec(point, column, seed, scale), seed < spec.seeds


def _seeds_in(store: Store) -> set[int]:
    """The seeds that any run folder has: `--seeds` may have asked for more than the table does."""
    found = (re.search(r"_s(\d+)_[0-9a-f]{12}$", folder.uid) for folder in store)
    return {int(match[1]) for match in found if match}


def _folder_lines(folder: RunFolder, run: RunSpec) -> list[dict[str, Any]]:
    status = folder.status()
    if status == "planned":
        return _empty_lines(run, "missing")
    rest = {"status": status, "uid": run.uid, "origin": "runs", "commit": _commit(folder)}
    lines = [{**line, **rest} for line in folder.metrics()]
    return lines or [{**line, **rest} for line in _empty_lines(run, status)]


def _empty_lines(run: RunSpec, status: str) -> list[dict[str, Any]]:
    """One line per metric of a run that has no score."""
    assert run.protocol is not None
    rest = {"status": status, "uid": run.uid, "origin": "runs", "value": math.nan}
    return [
        {
            "metric": one.name,
            "extractor": features.canonical(one.extractor),
            "version": version_of(one.name),
            **rest,
        }
        for one in run.protocol.metrics
    ]


def _commit(folder: RunFolder) -> str | None:
    """The code of the last start, with "+" where files differed from the commit."""
    path = folder.path / "provenance.json"
    try:
        entry = json.loads(path.read_text())[-1]
    except (FileNotFoundError, json.JSONDecodeError, IndexError):
        return None
    if not entry.get("commit"):
        return f"v{entry['bench']}" if entry.get("bench") else None
    return f"{entry['commit'][:10]}{'+' if entry.get('dirty') else ''}"


def _recorded_lines(name: str, table: str, scale: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of a recorded set by run."""
    frame = load_recorded(name, table, scale)
    return {str(uid): list(group.to_dict("records")) for uid, group in frame.groupby("uid")}  # type: ignore[arg-type]


def _read_recorded(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, keep_default_na=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a readable CSV: {str(error).splitlines()[0]}") from error
    header = list(frame.columns)
    known, further = header[: len(RECORDED_COLUMNS)], header[len(RECORDED_COLUMNS) :]
    if tuple(known) != RECORDED_COLUMNS or not set(further) <= set(OPTIONAL):
        raise UserError(
            f"{path}:1: the header must be {','.join(RECORDED_COLUMNS)}; {', '.join(OPTIONAL)} may follow"
        )
    return _frame(list(frame.to_dict("records")), (*RECORDED_COLUMNS, *OPTIONAL))  # type: ignore[arg-type]


def _frame(lines: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """The lines as a frame: scores are floats, a step that never was is missing."""
    frame = pd.DataFrame(lines, columns=list(columns))
    for name in ("value", "error"):
        frame[name] = frame[name].astype(float)
    for name, absent in OPTIONAL.items():
        frame[name] = frame[name].where(frame[name].notna(), absent)
    for name in ("seed", "step", "n_generated", "n_reference", "version"):
        frame[name] = frame[name].astype("Int64")
    return frame
