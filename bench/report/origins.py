"""What the runs of a table were made from: columns of its results, staleness, and notes under the table.

A cell never holds values of different inputs: a run is "stale" if its inputs differ from this machine's, or from those
of the table's newer runs. Commits, package versions and edited code of ours make nothing stale. Where the runs of a
cell differ in them, a note under the table lists the differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.plan.inputs import Machine, described
from bench.store.runs import RunFolder

# Columns of a run; an empty one means: not recorded, or nothing.
# `inputs`, `sources`: "name=digest", separated by blanks.
# `packages`: "name version", separated by commas; the starts of a run are separated by " | ".
# `changed`: the inputs of a stale run that differ now. `edited`: code of ours that differs now.
FACTS = ("inputs", "sources", "packages", "changed", "edited")
DIGITS = 16  # of a digest of 64 hex digits, as results keep it
ENDED = ("done", "diverged")
SHARED = ("data/", "weights/", "extractor/", "score/", "measure/")  # inputs that the runs of a column may not differ in


def facts(folder: RunFolder, machine: Machine) -> dict[str, str]:
    """The columns `FACTS` of a run in the store."""
    record = folder.inputs()
    if record is None:
        return dict.fromkeys(FACTS, "")
    sources = [f"{name}={digest}" for name, source in record["sources"].items() for digest in source["digests"]]
    return {
        "inputs": " ".join(f"{name}={digest[:DIGITS]}" for name, digest in sorted(record["read"].items())),
        "sources": " ".join(sorted(sources)),
        "packages": " | ".join(dict.fromkeys(_versions(start["packages"]) for start in record["starts"])),
        "changed": "; ".join(machine.changes(folder)),
        "edited": "; ".join(machine.edited(folder)),
    }


def commits(folder: RunFolder) -> list[str]:
    """The commit of each start of a run, in order; empty for a run from before inputs were recorded."""
    return list(dict.fromkeys(start["commit"] for start in (folder.inputs() or {}).get("starts", [])))


def judged(frame: pd.DataFrame, machine: Machine) -> pd.DataFrame:
    """The results with ended runs marked stale whose inputs are not this machine's, or not those of newer runs.

    The comparison with newer runs is for inputs that are not on this machine: nobody can say which of two is right,
    but the values of one cell must all come from one. Runs of the store count as newer than recorded ones, and later
    lines as newer than earlier ones.
    """
    newest: dict[str, str] = {}
    changed: dict[str, str] = {}
    runs = (
        frame.drop_duplicates("uid")
        .iloc[::-1]
        .sort_values("origin", key=lambda origin: origin != "runs", kind="stable")
    )
    # Newest first: each run must agree with this machine and with the inputs of all newer runs.
    for run in runs[runs["status"].isin(ENDED)].to_dict("records"):
        read = _pairs(str(run["inputs"]))
        wrong = [name for name, digest in read.items() if not _holds(name, digest, newest, machine)]
        if wrong:
            changed[str(run["uid"])] = "; ".join(described(wrong))
        else:
            newest |= {name: digest for name, digest in read.items() if name.startswith(SHARED)}
    marked = frame.copy()
    is_changed = marked["uid"].isin(list(changed))
    marked.loc[is_changed, "status"] = "stale"
    marked.loc[is_changed, "changed"] = marked.loc[is_changed, "uid"].map(changed)
    return marked


def unlike(ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Where `theirs` were made from other data, weights or extractors than ours: (row, column) -> which."""
    own: dict[str, list[dict[str, str]]] = {
        str(column): [_pairs(str(text)) for text in set(runs["inputs"])] for column, runs in ours.groupby("column")
    }
    differences = {}
    for (row, column), runs in theirs.groupby(["row", "column"]):
        wrong = [
            name
            for text in set(runs["inputs"])
            for name, digest in _pairs(str(text)).items()
            for read in own.get(str(column), [])
            if name.startswith(SHARED) and read.get(name, digest) != digest
        ]
        if wrong:
            differences[str(row), str(column)] = "; ".join(described(list(dict.fromkeys(wrong))))
    return differences


def origin_notes(results: pd.DataFrame) -> tuple[str, ...]:
    """Notes on what the shown runs were made from; empty where all were made from the same."""
    runs = results.drop_duplicates("uid")
    runs = runs.assign(**{name: runs[name].astype(object).where(runs[name].notna(), "") for name in FACTS})
    ended = runs[runs["status"].isin(ENDED)]
    lines = [*stale_notes(results), *_mixed(ended)]
    if edited := sorted({name for text in ended["edited"] for name in str(text).split("; ") if name}):
        lines.append(f"Code that has changed since runs shown here were trained with it: {'; '.join(edited)}.")
    unknown = ended[ended["inputs"] == ""]
    if len(unknown):
        which = "all runs" if len(unknown) == len(ended) else _named(unknown)
        lines.append(f"Inputs not recorded, as the runs are from before they were: {which}.")
    return tuple(lines)


def stale_notes(results: pd.DataFrame) -> list[str]:
    """A note on the stale runs for each change that made them stale."""
    runs = results.drop_duplicates("uid")
    return [
        f"Stale, in no cell: {_named(group)}: made from other inputs than are here or than newer runs: {changed}; "
        "--retry stale trains anew."
        for changed, group in runs[runs["status"] == "stale"].groupby("changed")
    ]


def _mixed(runs: pd.DataFrame) -> Iterator[str]:
    """A note for each cell whose seeds were made by different code or packages."""
    for (row, column), cell in runs.groupby(["row", "column"], sort=False):
        differences = []
        if cell["commit"].nunique() > 1:
            differences.append("code " + ", ".join(_by_seed(cell, "commit")))
        recorded = cell[cell["packages"] != ""]
        if recorded["packages"].nunique() > 1:
            differences.append(f"packages {'; '.join(_differing_packages(recorded))}")
        if cell[cell["sources"] != ""]["sources"].nunique() > 1:
            differences.append("other source code of its parts or network")
        if differences:
            yield f"{row} · {column}: its seeds are of different making: {'; '.join(differences)}."


def _by_seed(cell: pd.DataFrame, name: str) -> list[str]:
    """For example "be04c86 (seeds 0, 1)"."""
    parts = []
    for value, group in cell.groupby(name, sort=False):
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"]))
        parts.append(f"{value} (seed{'s' if len(group) > 1 else ''} {seeds})")
    return parts


def _differing_packages(cell: pd.DataFrame) -> list[str]:
    """The packages whose versions differ within a cell, by seed."""
    tables = {
        text: dict(package.split(" ", 1) for package in text.split(" | ")[-1].split(", ")) for text in cell["packages"]
    }
    names = sorted({name for versions in tables.values() for name in versions})
    differing = [name for name in names if len({versions.get(name) for versions in tables.values()}) > 1]
    short = cell.assign(
        versions=[
            ", ".join(f"{name} {tables[text].get(name, 'absent')}" for name in differing) for text in cell["packages"]
        ]
    )
    return _by_seed(short, "versions") if differing else ["changed between the starts of a run"]


def _named(runs: pd.DataFrame) -> str:
    """For example "scratch · faces (seeds 0, 1), lt · faces (seed 0)"."""
    keys = runs["row"] + " · " + runs["column"]
    return ", ".join(_by_seed(runs.assign(cell=keys), "cell"))


def _holds(name: str, digest: str, newest: dict[str, str], machine: Machine) -> bool:
    now = machine.now(name)
    if now is not None and not now.startswith(digest):
        return False
    return newest.get(name, digest) == digest


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.rsplit("=", 1) for pair in text.split()) if text and text != "nan" else {}


def _versions(packages: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
