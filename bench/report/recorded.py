"""Recorded sets: finished runs kept as CSV, one folder per set, one file per table and scale.

They are looked for in the folders of $BENCH_RECORDED, else of the project file, and in results/recorded, which ships.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bench.errors import UserError
from bench.files import atomic
from bench.plan.folders import recorded_roots
from bench.report.frame import OPTIONAL, REQUIRED, as_frame
from bench.report.making import Making, read_making, save_making

RECORDED_COLUMNS = ("table", "scale", *REQUIRED)
_EVERY = (*RECORDED_COLUMNS, *OPTIONAL)
# What is text, whatever it looks like: a commit of digits alone is no number, and a row may be called "NA"
TEXTS = (
    "table", "scale", "row", "column", "metric", "extractor", "status", "uid", "origin", "kind", "commit",
    *(name for name, absent in OPTIONAL.items() if isinstance(absent, str) and name != "run_score"),
)  # fmt: skip
_ABSENT = {name: [""] if name in TEXTS else ["", "nan", "NaN"] for name in _EVERY}
CELL = ["kind", "row", "column", "seed"]
# Names with another meaning: the printed numbers, measured cards, and the words of `bench compare --against`.
RESERVED = ("paper", "devices", "recorded", "runs")
NO_SETS = RESERVED[:2]
# Numbers are read as they were written, to the last bit. pandas 3.1 does so and warns who asks for it; before, who did
# not ask got every third number wrong in its last digit.
_BEFORE_3_1 = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
_PRECISION: Literal["round_trip"] | None = "round_trip" if _BEFORE_3_1 else None


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


def has_table(name: str, table: str, scale: str) -> bool:
    """Whether a recorded set has a file of a table at a scale."""
    return (_find(name, None) / _file(table, scale)).is_file()


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


def every_recorded(root: Path | None = None) -> tuple[pd.DataFrame, Making]:
    """The scores of all recorded sets, each line's in `set`, and what runs took as far as that is kept, by uid."""
    frames, making = [], Making()
    for name in recorded_sets(root):
        for path in sorted(_find(name, root).glob("*.csv")):
            frames.append(_read(path).assign(set=name))
            making |= read_making(path)
    return (pd.concat(frames, ignore_index=True) if frames else as_frame([], _EVERY).assign(set="")), making


def kept_making(name: str, root: Path | None = None) -> Making:
    """What the runs of a recorded set took, as far as it keeps that, by uid."""
    making = Making()
    for path in sorted(_find(name, root).glob("*.csv")):
        making |= read_making(path)
    return making


def save_recorded(
    frame: pd.DataFrame,
    name: str,
    table: str,
    scale: str,
    root: Path | None = None,
    *,
    replace: bool = False,
    making: Making | None = None,
) -> Saved:
    """Keep the finished runs of `frame` (from `load_results`) in the recorded set `name`.

    Runs of the set that are not in `frame` stay in it. Raises UserError if nothing is finished, if the name is not
    allowed, or if another folder has a set of that name. Without `replace`, it also refuses to replace a run of the
    set by one of other settings or versions.
    making: what the runs took, to be kept beside the scores.
    """
    refuse_set_name(name)
    done = frame[frame["status"].isin(["done", "diverged"])].copy()
    if done.empty:
        raise UserError(f"nothing of {table} at scale {scale} is finished; `bench status` shows its runs")
    done["origin"] = f"recorded:{name}"
    done["train_seconds"] = OPTIONAL["train_seconds"]  # of a machine: the same runs make the same file
    done.insert(0, "table", table)
    done.insert(1, "scale", scale)
    # The new runs, then what the file holds of other cells and seeds.
    path = _place(name, root) / _file(table, scale)
    before = _read(path) if path.exists() else as_frame([], _EVERY)
    _refuse_others(before, done, name, replace)
    same_cell = pd.MultiIndex.from_frame(before[CELL]).isin(pd.MultiIndex.from_frame(done[CELL]))
    stays = before[~same_cell]
    whole = pd.concat([done[list(_EVERY)], stays], ignore_index=True) if len(stays) else done
    # Optional columns are written only where some line has a value in them.
    further = [name for name, absent in OPTIONAL.items() if (whole[name] != absent).any()]
    atomic.write_text(path, whole[[*RECORDED_COLUMNS, *further]].to_csv(index=False))
    save_making(path, making or {}, whole["uid"].astype(str))
    old, new = _cells(before), _cells(done)
    return Saved(path, len(new - old), len(new & old), len(old - new))


def _file(table: str, scale: str) -> str:
    return f"{table.replace('/', '-')}-{scale}.csv"


def refuse_set_name(name: str) -> None:
    """UserError for what cannot be the name of a recorded set of ours."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or name in RESERVED:
        names = ", ".join(RESERVED[:-1])
        raise UserError(
            f"recorded set '{name}': use lower-case letters, digits, dots and dashes, and not {names} or {RESERVED[-1]}"
        )


def _cells(frame: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(frame[CELL].itertuples(index=False, name=None))


def _refuse_others(before: pd.DataFrame, done: pd.DataFrame, name: str, replace: bool) -> None:
    """Refuse to replace runs of the set by runs of other settings, unless the user asked for it.

    A set has one run for each cell and seed: the run that is there would be lost.
    """
    pairs = before[[*CELL, "uid"]].drop_duplicates().merge(done[[*CELL, "uid"]].drop_duplicates(), on=CELL)
    replaced = pairs[pairs["uid_x"] != pairs["uid_y"]]
    if len(replaced) and not replace:
        run = replaced.iloc[0]
        raise UserError(
            f"recorded set '{name}' holds another run of {run['row']} · {run['column']} · seed {run['seed']} "
            f"({run['uid_x']}, of other settings or versions, and {len(replaced) - 1} more such); record under another "
            "name, or --replace them"
        )


def _roots(root: Path | None) -> Sequence[Path]:
    return [root] if root is not None else recorded_roots()


def _sets_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and path.name not in NO_SETS] if folder.is_dir() else []


def _find(name: str, root: Path | None) -> Path:
    folders = [path for folder in _roots(root) for path in _sets_in(folder) if path.name == name]
    if len(folders) > 1:
        raise UserError(f"recorded set '{name}' is there twice: {folders[0]} and {folders[1]}; rename one of them")
    if not folders:
        places = ", ".join(str(folder) for folder in _roots(root))
        raise UserError(
            f"unknown recorded set '{name}'; known: {', '.join(recorded_sets(root)) or 'none'} (looked for in "
            f"{places}; BENCH_RECORDED names other folders)"
        )
    return folders[0]


def _place(name: str, root: Path | None) -> Path:
    """The folder to write a set to. Raises UserError where another folder in use has a set of that name."""
    folder = _roots(root)[0]
    in_force = {path.resolve(): path for path in recorded_roots()}
    for resolved, other_root in in_force.items():
        if folder.resolve() in in_force and resolved != folder.resolve() and (other_root / name).is_dir():
            raise UserError(f"recorded set '{name}' is in {other_root} already; choose another name")
    return folder / name


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(TEXTS, str),
            keep_default_na=False,
            na_values=_ABSENT,
            float_precision=_PRECISION,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not a readable CSV: {str(error).splitlines()[0]}") from error
    header = list(frame.columns)
    required, further = header[: len(RECORDED_COLUMNS)], header[len(RECORDED_COLUMNS) :]
    if tuple(required) != RECORDED_COLUMNS or not set(further) <= set(OPTIONAL):
        raise UserError(f"{path}:1: the header must be {','.join(RECORDED_COLUMNS)}; {', '.join(OPTIONAL)} may follow")
    return as_frame(list(frame.to_dict("records")), _EVERY)  # type: ignore[arg-type]  # all names of columns are text
