"""The plain data of a table's file: fragments put in, and merged with the table that it extends or is the same as."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import copied, load_yaml, mistake
from bench.plan.extending import Plain, alone, extended
from bench.plan.fragments import COMMON, TABLES, with_fragments

# What an alias says itself; everything else is the other table's
OF_AN_ALIAS = ("schema_version", "same_as", "title", "paper", "labels", "rows", "columns", "notes", "claims")
ALL = "ALL"  # the word for every table that ships
LINKS = ("extends", "same_as")


def table_names() -> list[str]:
    """Every table that ships with the project, e.g. "disp/table1"."""
    return list(_names(TABLES))


@cache
def _names(tables: Path) -> tuple[str, ...]:
    files = (path.relative_to(tables).with_suffix("") for path in tables.glob("*/*.yaml"))
    return tuple(sorted(str(name) for name in files if name.parts[0] != COMMON))


def resolve_table(name: str) -> str:
    """The full name of a table: a bare `table1` is `disp/table1`."""
    names = table_names()
    full = name if "/" in name else f"disp/{name}"
    if name.upper() == ALL:
        raise UserError(f"'{name}' is no table; {ALL} goes with plan, run, submit, status, report and record")
    if full not in names:
        raise UserError(f"unknown table '{name}'; {did_you_mean(full, names)}")
    return full


def plain_table(path: Path) -> Plain:
    """What a file and the tables behind it say. Raises UserError naming file, line and key."""
    return copied(_cached(path)) if path.is_relative_to(TABLES) else _read(path, load_yaml(path))


def _read(path: Path, value: Plain) -> Plain:
    """The same of a file's own YAML, which is used up."""
    _refuse_circle(value, path)
    value = with_fragments(value, path)
    if "same_as" in value:
        return _alias(value, path)
    if "extends" not in value:
        return alone(value, path)
    return extended(_shipped(str(value.pop("extends"))), value, path)


def _shipped(name: str) -> Plain:
    return plain_table(TABLES / f"{resolve_table(name)}.yaml")


@cache
def _cached(file: Path) -> Plain:
    """A shipped table's plain data. It is read once, and others extend it: take a copy."""
    return _read(file, copied(_own(file)))


@cache
def _own(file: Path) -> Plain:
    """A shipped table's own YAML, as it is written."""
    return load_yaml(file)


def _link(file: Path) -> str | None:
    """The table that a shipped one extends or is the same as."""
    return _linked(_own(file))


def _linked(value: Plain) -> str | None:
    return next((str(value[key]) for key in LINKS if key in value), None)


def _refuse_circle(value: Plain, path: Path) -> None:
    behind, name, key = [path], _linked(value), next((key for key in LINKS if key in value), "")
    while name is not None:
        try:
            file = TABLES / f"{resolve_table(name)}.yaml"
        except UserError as error:
            raise mistake(path, (key,), str(error)) from error
        if file in behind:
            raise mistake(path, (key,), f"'{value[key]}' leads back to {name}; a table cannot be behind itself")
        behind.append(file)
        name = _link(file)


def _alias(value: Plain, path: Path) -> Plain:
    """The plain data of another table, under the names of this paper."""
    name = resolve_table(str(value["same_as"]))
    for key in value:
        if key not in OF_AN_ALIAS:
            raise mistake(path, (key,), f"is that of {name}; leave it out, or write extends in place of same_as")
    other = _shipped(name)
    if "same_as" in other:
        raise mistake(path, ("same_as",), f"{name} is itself the same as {other['same_as']}; name that one")
    for place in ("rows", "columns"):
        for number, item in enumerate(value.get(place) or ()):
            if not isinstance(item, str):
                raise mistake(
                    path, (place, number), f"write the id of a {place[:-1]} of {name} alone, and its label in labels"
                )
    own = {key: inner for key, inner in value.items() if key not in ("labels", "schema_version")}
    merged = extended(other, {"claims": [], "notes": [], **own, "same_as": name}, path)
    # The paper's own words for the rows
    labels, rows = value.get("labels") or {}, {row["id"]: row for row in merged["rows"]}
    if not isinstance(labels, dict):
        raise mistake(path, ("labels",), "must be a mapping of row ids to labels")
    for row, label in labels.items():
        if row not in rows:
            raise mistake(path, ("labels", row), f"unknown row '{row}' of {name}; {did_you_mean(str(row), rows)}")
        rows[row]["label"] = label
    return merged
