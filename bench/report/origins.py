"""What the runs of a table were made from: as columns of its results, judged, and told under the table.

A cell never holds values of different inputs: a run whose inputs are others than this machine's, or than those of the
table's newer runs, is "stale". Commits, package versions and edited code of ours make nothing stale; where the runs of
a cell differ in them, the report says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.plan.inputs import Machine, described
from bench.store.runs import RunFolder

# Columns of a run: `inputs` and `sources` are "name=digest" with blanks between, `packages` "name version" with commas
# between, of each start (starts are set off by " | "); `changed` says which inputs of a stale run, `edited` which code
# of ours, is another now. Empty: not recorded, or nothing.
FACTS = ("inputs", "sources", "packages", "changed", "edited")
DIGITS = 16
ENDED = ("done", "diverged")
SHARED = ("data/", "weights/", "extractor/", "score/")  # inputs that the runs of a column may not differ in


def facts(folder: RunFolder, machine: Machine) -> dict[str, str]:
    """The columns `FACTS` of a run in the store."""
    record = folder.inputs()
    if record is None:
        return dict.fromkeys(FACTS, "")
    sources = [f"{name}={digest}" for name, one in record["sources"].items() for digest in one["digests"]]
    return {
        "inputs": " ".join(f"{name}={digest[:DIGITS]}" for name, digest in sorted(record["read"].items())),
        "sources": " ".join(sorted(sources)),
        "packages": " | ".join(dict.fromkeys(_versions(start["packages"]) for start in record["starts"])),
        "changed": "; ".join(machine.changes(folder)),
        "edited": "; ".join(machine.edited(folder)),
    }


def commits(folder: RunFolder) -> list[str]:
    """The code of each of a run's starts, in their order; empty for a run from before inputs were recorded."""
    return list(dict.fromkeys(start["commit"] for start in (folder.inputs() or {}).get("starts", [])))


def judged(frame: pd.DataFrame, machine: Machine) -> pd.DataFrame:
    """The results with ended runs marked stale whose inputs are not this machine's, or not those of newer runs.

    The second is for inputs that are not here: which set was the right one, nobody can say, but one cell holds one.
    Runs of the store come before recorded ones, and those in the order of the lines, the last being the newest.
    """
    newest: dict[str, str] = {}
    changed: dict[str, str] = {}
    runs = (
        frame.drop_duplicates("uid")
        .iloc[::-1]
        .sort_values("origin", key=lambda one: one != "runs", kind="stable")
    )
    for run in runs[runs["status"].isin(ENDED)].to_dict("records"):
        read = _pairs(str(run["inputs"]))
        wrong = [name for name, digest in read.items() if not _holds(name, digest, newest, machine)]
        if wrong:
            changed[str(run["uid"])] = "; ".join(described(wrong))
        else:
            newest |= {name: digest for name, digest in read.items() if name.startswith(SHARED)}
    marked = frame.copy()
    here = marked["uid"].isin(list(changed))
    marked.loc[here, "status"] = "stale"
    marked.loc[here, "changed"] = marked.loc[here, "uid"].map(changed)
    return marked


def unlike(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(row, column) of `theirs` whose runs were made from other data, weights or extractors than ours there."""
    own: dict[str, list[dict[str, str]]] = {
        str(column): [_pairs(str(text)) for text in set(runs["inputs"])]
        for column, runs in ours.groupby("column")
    }
    found = {}
    for (row, column), runs in theirs.groupby(["row", "column"]):
        wrong = [
            name
            for text in set(runs["inputs"])
            for name, digest in _pairs(str(text)).items()
            for read in own.get(str(column), [])
            if name.startswith(SHARED) and read.get(name, digest) != digest
        ]
        if wrong:
            found[str(row), str(column)] = "; ".join(described(list(dict.fromkeys(wrong))))
    return found


def origin_notes(results: pd.DataFrame) -> tuple[str, ...]:
    """What to know of where the shown runs come from; empty where all are of one making."""
    runs = results.drop_duplicates("uid")
    runs = runs.assign(**{name: runs[name].astype(object).where(runs[name].notna(), "") for name in FACTS})
    ended = runs[runs["status"].isin(ENDED)]
    lines = [*stale_notes(results), *_mixed(ended)]
    if edited := sorted({name for text in ended["edited"] for name in str(text).split("; ") if name}):
        lines.append(
            f"Code that has changed since runs shown here were trained with it: {'; '.join(edited)}."
        )
    unknown = ended[ended["inputs"] == ""]
    if len(unknown):
        which = "all runs" if len(unknown) == len(ended) else _named(unknown)
        lines.append(f"Inputs not recorded, as the runs are from before they were: {which}.")
    return tuple(lines)


def stale_notes(results: pd.DataFrame) -> list[str]:
    """The stale runs among results, by what has changed."""
    runs = results.drop_duplicates("uid")
    return [
        f"Stale, in no cell: {_named(group)}: made from other inputs than are here or than newer runs: {changed}; "
        "--retry stale trains anew."
        for changed, group in runs[runs["status"] == "stale"].groupby("changed")
    ]


def _mixed(runs: pd.DataFrame) -> Iterator[str]:
    """Where the seeds of one cell were made by different code or packages."""
    for (row, column), cell in runs.groupby(["row", "column"], sort=False):
        told = []
        if cell["commit"].nunique() > 1:
            told.append("code " + ", ".join(_by_seed(cell, "commit")))
        named = cell[cell["packages"] != ""]
        if named["packages"].nunique() > 1:
            told.append(f"packages {'; '.join(_differing_packages(named))}")
        if cell[cell["sources"] != ""]["sources"].nunique() > 1:
            told.append("other source code of its parts or network")
        if told:
            yield f"{row} · {column}: its seeds are of different making: {'; '.join(told)}."


def _by_seed(cell: pd.DataFrame, name: str) -> list[str]:
    """For example "be04c86 (seeds 0, 1)"."""
    found = []
    for value, group in cell.groupby(name, sort=False):
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"]))
        found.append(f"{value} (seed{'s' if len(group) > 1 else ''} {seeds})")
    return found


def _differing_packages(cell: pd.DataFrame) -> list[str]:
    """The packages whose versions differ within a cell, by seed."""
    tables = {
        text: dict(one.split(" ", 1) for one in text.split(" | ")[-1].split(", "))
        for text in cell["packages"]
    }
    names = sorted({name for one in tables.values() for name in one})
    differing = [name for name in names if len({one.get(name) for one in tables.values()}) > 1]
    short = cell.assign(
        told=[
            ", ".join(f"{name} {tables[text].get(name, 'absent')}" for name in differing)
            for text in cell["packages"]
        ]
    )
    return _by_seed(short, "told") if differing else ["changed between the starts of a run"]


def _named(runs: pd.DataFrame) -> str:
    """For example "scratch · faces (seeds 0, 1), lt · faces (seed 0)"."""
    keys = runs["row"] + " · " + runs["column"]
    return ", ".join(_by_seed(runs.assign(told=keys), "told"))


def _holds(name: str, digest: str, newest: dict[str, str], machine: Machine) -> bool:
    now = machine.now(name)
    if now is not None and not now.startswith(digest):
        return False
    return newest.get(name, digest) == digest


def _pairs(text: str) -> dict[str, str]:
    return dict(one.rsplit("=", 1) for one in text.split()) if text and text != "nan" else {}


def _versions(packages: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
