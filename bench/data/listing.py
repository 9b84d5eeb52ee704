"""`bench data list`: every known data set with its state, as lines for people and as a document for scripts."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.data import own_sets, scratch, verification
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.data.meta import read_meta
from bench.data.places import build_command, find, recipe
from bench.data.smaller_sets import is_smaller
from bench.data.transfer_progress import size_text
from bench.data.verification import Built
from bench.errors import UserError

SCHEMA_VERSION = 1  # raised when a key of the document changes its meaning or goes; a new key does not raise it


@dataclass(frozen=True)
class Listed:
    """One known data set and what is built of it here."""

    name: str
    entry: DatasetEntry
    own: bool  # of the user's own, known from the cache alone
    built: tuple[Built, ...]
    stale: frozenset[int] = frozenset()  # resolutions at which it was built by another recipe than today's

    @property
    def state(self) -> str:
        """What it takes to use the set, and at which resolutions it is built here."""
        origin = "embedded" if self.entry.embedded else "your own" if self.own else "needs your files"
        sizes = [f"{one.resolution} px{self._mark(one)}" for one in self.built]
        if not sizes:
            return origin
        return f"{'' if origin == 'needs your files' else f'{origin}, '}built at {', '.join(sizes)}"

    def _mark(self, one: Built) -> str:
        if one.problem:
            return " (unusable)"
        return " (by another recipe)" if one.resolution in self.stale else ""


def listed(patterns: Iterable[str] = ()) -> list[Listed]:
    """Every known data set by name, or those whose name has one of `patterns` in it or matches it (`cifar*`).

    Of the smaller sets NAME@N those that are built. UserError for a pattern that fits no data set.
    """
    built: dict[str, list[Built]] = {}
    for one in verification.list_built():
        built.setdefault(one.name, []).append(one)
    smaller = [name for name in built if is_smaller(name) and name in datasets()]
    names = sorted([*(entry.name for entry in datasets()), *smaller])
    chosen = set(names)
    if patterns := tuple(patterns):
        chosen = set()
        for text in patterns:
            matches = fnmatch.filter(names, text if any(sign in text for sign in "*?[") else f"*{text}*")
            if not matches:
                raise UserError(f"no data set has '{text}' in its name; `bench data list` has all of them")
            chosen.update(matches)
    return [
        Listed(
            name,
            datasets().load(name),
            datasets().entry(name).target.startswith(own_sets.TARGET),
            tuple(built.get(name, ())),
            frozenset(one.resolution for one in built.get(name, ()) if not one.problem and _is_stale(one)),
        )
        for name in names
        if name in chosen
    ]


def _is_stale(built: Built) -> bool:
    entry, folder = find(built.name, built.resolution)
    return bool(read_meta(folder)["recipe"] != recipe(entry))


def as_lines(sets: list[Listed]) -> list[str]:
    """One line for each set: name, state, what it is, licence; then why a built one cannot be used, and begun ones."""
    name_width = max(len(one.name) for one in sets)
    state_width = max(len(one.state) for one in sets)
    lines = [
        f"{one.name:{name_width}}  {one.state:{state_width}}  {one.entry.summary} ({one.entry.licence})" for one in sets
    ]
    problems = [f"unusable: {built.problem}" for one in sets for built in one.built if built.problem]
    return lines + problems + [_interrupted(one) for one in scratch.interrupted()]


def _interrupted(one: scratch.Interrupted) -> str:
    return (
        f"interrupted: {one.name} at {one.resolution} px, {one.done:,} of {one.pictures:,} pictures converted "
        f"({size_text(one.bytes)} in {one.path}); the command that began it goes on"
    )


def as_json(sets: list[Listed], tables: Mapping[str, list[str]]) -> str:
    """The document of `--json`: {"schema_version": 1, "data_sets": [...], ...}; docs/datasets.md has its keys.

    tables: the names of the tables that use a set, by its name.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "data_sets": [_record(one, tables.get(one.name, [])) for one in sets],
        "interrupted": [asdict(one) | {"path": str(one.path)} for one in scratch.interrupted()],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _record(one: Listed, tables: list[str]) -> dict[str, Any]:
    entry = one.entry
    return {
        "name": one.name,
        "origin": "embedded" if entry.embedded else "own" if one.own else "published",
        "summary": entry.summary,
        "licence": entry.licence,
        "source": entry.source,
        "homepage": entry.homepage,
        "train": entry.train,
        "test": entry.test,
        "layout": entry.layout,
        "options": entry.options,
        "split_rule": entry.split_rule.model_dump() if entry.split_rule else None,
        "path": entry.path,
        "files": [file.model_dump() for file in entry.files],
        "download": bool(entry.downloads()),
        "resolutions": list(entry.resolutions),
        "tables": tables,
        "known_sha256": {str(size): digest for size, digest in entry.known_sha256.items()},
        "build_command": build_command(one.name, (entry.resolutions or (32,))[0], entry),
        "built": [
            {
                "resolution": built.resolution,
                "path": str(built.path),
                "train": built.train,
                "test": built.test,
                "bytes": built.bytes,
                "sha256": built.sha256,
                "problem": built.problem or None,
                "stale": built.resolution in one.stale,
            }
            for built in one.built
        ],
    }
