"""Recorded sets: finished runs kept as CSV, a folder a set and a file a table and scale.

They are looked for in the folders of $BENCH_RECORDED (else the project file's) and in the one that ships.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.files import atomic
from bench.plan.folders import recorded_roots
from bench.report.frame import OPTIONAL, REQUIRED, as_frame

RECORDED_COLUMNS = ("table", "scale", *REQUIRED)
_EVERY = (*RECORDED_COLUMNS, *OPTIONAL)
CELL = ["kind", "row", "column", "seed"]
RESERVED = (
    "paper",
    "recorded",
    "runs",
)  # the printed numbers; what `bench compare --against` means otherwise


@dataclass(frozen=True)
class Saved:
    """What `save_recorded` did: the file, and how many of its runs are new, replaced and kept from before."""

    path: Path
    new: int
    replaced: int
    kept: int


def recorded_sets(root: Path | None = None) -> list[str]:
    """The names of the recorded sets of our own runs (the papers' printed numbers are not one)."""
    return sorted({path.name for folder in _roots(root) for path in _sets_in(folder)})


def holdings(name: str, root: Path | None = None) -> list[tuple[str, str, int]]:
    """What a recorded set holds: (table, scale, runs)."""
    frame = load_recorded(name, root=root)
    runs = frame[["table", "scale", "uid"]].drop_duplicates()
    counts = Counter(zip(runs["table"], runs["scale"]))
    return [(str(table), str(scale), number) for (table, scale), number in sorted(counts.items())]


def load_recorded(
    name: str, table: str | None = None, scale: str | None = None, root: Path | None = None
) -> pd.DataFrame:
    """The scores of a recorded set, optionally of one table and scale: `COLUMNS` after table and scale.

    Raises UserError for an unknown set, naming the known ones and where they were looked for, for a set that
    several folders have, and for a malformed file.
    """
    frames = [_read(path) for path in sorted(_find(name, root).glob("*.csv"))]
    frame = pd.concat(frames, ignore_index=True) if frames else as_frame([], _EVERY)
    if table is not None:
        frame = frame[frame["table"] == table]
    if scale is not None:
        frame = frame[frame["scale"] == scale]
    return frame.reset_index(drop=True)


def save_recorded(
    frame: pd.DataFrame,
    name: str,
    table: str,
    scale: str,
    root: Path | None = None,
    *,
    replace: bool = False,
) -> Saved:
    """Keep the finished runs of `frame` (from `load_results`) in the recorded set `name`.

    Runs that the set holds already and `frame` does not stay in it. Raises UserError if nothing is finished, if
    the name is not fit or is another folder's set, and, without `replace`, if the set holds a run of other
    settings or versions in the place of one of these.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name in RESERVED:
        names = ", ".join(RESERVED[:-1])
        raise UserError(
            f"recorded set '{name}': use lower-case letters, digits, dots and dashes, and not {names} or {RESERVED[-1]}"
        )
    done = frame[frame["status"].isin(["done", "diverged"])].copy()
    if done.empty:
        raise UserError(f"nothing of {table} at scale {scale} is finished; `bench status` shows its runs")
    done["origin"] = f"recorded:{name}"
    done.insert(0, "table", table)
    done.insert(1, "scale", scale)
    path = _place(name, root) / f"{table.replace('/', '-')}-{scale}.csv"
    before = _read(path) if path.exists() else as_frame([], _EVERY)
    _refuse_others(before, done, name, replace)
    same_cell = pd.MultiIndex.from_frame(before[CELL]).isin(pd.MultiIndex.from_frame(done[CELL]))
    stays = before[~same_cell]
    whole = pd.concat([done[list(_EVERY)], stays], ignore_index=True) if len(stays) else done
    told = [name for name, absent in OPTIONAL.items() if (whole[name] != absent).any()]
    atomic.write_text(path, whole[[*RECORDED_COLUMNS, *told]].to_csv(index=False))
    old, new = _cells(before), _cells(done)
    return Saved(path, len(new - old), len(new & old), len(old - new))


def _cells(frame: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(frame[CELL].itertuples(index=False, name=None))


def _refuse_others(before: pd.DataFrame, done: pd.DataFrame, name: str, replace: bool) -> None:
    """A cell and seed of a set is one run: another run in its place would be lost, or mixed with it."""
    pairs = before[[*CELL, "uid"]].drop_duplicates().merge(done[[*CELL, "uid"]].drop_duplicates(), on=CELL)
    other = pairs[pairs["uid_x"] != pairs["uid_y"]]
    if len(other) and not replace:
        one = other.iloc[0]
        raise UserError(
            f"recorded set '{name}' holds another run of {one['row']} · {one['column']} · seed {one['seed']} "
            f"({one['uid_x']}, of other settings or versions, and {len(other) - 1} more such); record under another "
            "name, or --replace them"
        )


def _roots(root: Path | None) -> Sequence[Path]:
    return [root] if root is not None else recorded_roots()


def _sets_in(folder: Path) -> list[Path]:
    return (
        [path for path in folder.iterdir() if path.is_dir() and path.name != "paper"]
        if folder.is_dir()
        else []
    )


def _find(name: str, root: Path | None) -> Path:
    found = [path for folder in _roots(root) for path in _sets_in(folder) if path.name == name]
    if len(found) > 1:
        raise UserError(f"recorded set '{name}' stands twice: {found[0]} and {found[1]}; rename one of them")
    if not found:
        places = ", ".join(str(folder) for folder in _roots(root))
        raise UserError(
            f"unknown recorded set '{name}'; known: {', '.join(recorded_sets(root)) or 'none'} (looked for in "
            f"{places}; BENCH_RECORDED names other folders)"
        )
    return found[0]


def _place(name: str, root: Path | None) -> Path:
    """The folder of a set that is to be written; refused where another folder in force has such a set."""
    folder = _roots(root)[0]
    in_force = {one.resolve(): one for one in recorded_roots()}
    for resolved, other in in_force.items():
        if folder.resolve() in in_force and resolved != folder.resolve() and (other / name).is_dir():
            raise UserError(f"recorded set '{name}' is in {other} already; choose another name")
    return folder / name


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, keep_default_na=True, float_precision="round_trip")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a readable CSV: {str(error).splitlines()[0]}") from error
    header = list(frame.columns)
    known, further = header[: len(RECORDED_COLUMNS)], header[len(RECORDED_COLUMNS) :]
    if tuple(known) != RECORDED_COLUMNS or not set(further) <= set(OPTIONAL):
        raise UserError(
            f"{path}:1: the header must be {','.join(RECORDED_COLUMNS)}; {', '.join(OPTIONAL)} may follow"
        )
    return as_frame(list(frame.to_dict("records")), _EVERY)  # type: ignore[arg-type]  # all names of columns are text
