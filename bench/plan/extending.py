"""One table's plain data over another's: rows and columns by their ids, settings under `like`, no left-overs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import did_you_mean
from bench.files.yamlfile import merge, mistake
from bench.spec.scale import PLACES

Plain = dict[str, Any]
LIKE = "like"


def alone(value: Plain, path: Path) -> Plain:
    """The plain data of a table that extends no other."""
    return _liked(_with_items(value, path, {}), path)


def extended(parent: Plain, value: Plain, path: Path) -> Plain:
    """A table's own data over those of the table that it extends.

    Mappings merge key by key and null removes a key; lists replace, but for rows and columns that are only named by
    their ids. Patches of rows, columns and groups that only the parent has are left out. Inside a scale null stays,
    for there it is said of what a patch is laid over. Raises UserError with the line of an unknown id.
    """
    value = _with_items(value, path, parent)
    own_scales = _mapping(value, "scales")
    merged = merge(parent, {key: inner for key, inner in value.items() if key != "scales" or not own_scales})
    for scale, settings in own_scales.items():
        if settings is None:
            merged["scales"].pop(scale, None)
        elif isinstance(settings, dict):
            merged["scales"][scale] = merge(_mapping(merged["scales"], scale), settings, keep_null=True)
        else:
            merged["scales"][scale] = settings
    merged = _liked(merged, path)
    for scale, settings in _scales(merged).items():
        own = _mapping(own_scales, scale)
        _drop_left_overs(settings, parent, merged, own)
        if "absent" in settings and "absent" not in own:
            settings["absent"] = [name for name in settings["absent"] if _has_cell(merged, name)]
    if "absent" in parent and "absent" not in value:
        merged["absent"] = [name for name in parent["absent"] if _has_cell(merged, name)]
    return merged


def _with_items(value: Plain, path: Path, parent: Plain) -> Plain:
    """The data with the parent's row or column in place of an id that stands alone in a list."""
    filled = dict(value)
    for place in ("rows", "columns"):
        if not isinstance(items := value.get(place), list):
            continue
        known = {item["id"]: item for item in _items(parent, place)}
        filled[place] = [_item(item, known, path, (place, number)) for number, item in enumerate(items)]
    return filled


def _item(item: Any, known: dict[str, Plain], path: Path, keys: tuple[str, int]) -> Any:
    if not isinstance(item, str):
        return item
    label = keys[0][:-1]
    if not known:
        raise mistake(path, keys, f"'{item}' is only an id, and no table is extended; write {{id: {item}, label: ...}}")
    if item not in known:
        raise mistake(
            path, keys, f"unknown {label} '{item}' of the table that is extended; {did_you_mean(item, known)}"
        )
    return dict(known[item])


def _liked(value: Plain, path: Path) -> Plain:
    """The data with the settings of the column that another is `like` under that one's, at every scale."""
    columns = _items(value, "columns")
    likes = {column["id"]: str(column.pop(LIKE)) for column in columns if LIKE in column}
    numbers = {column["id"]: number for number, column in enumerate(columns)}
    settled: set[str] = set()

    def settle(column: str, behind: tuple[str, ...]) -> None:
        """Put the other column's settings under those of this one, its own `like` first."""
        other = likes.get(column)
        if other is None or column in settled:
            return
        keys = ("columns", numbers[column], LIKE)
        known = {*numbers, *(name for settings in _scales(value).values() for name in _mapping(settings, "columns"))}
        if other == column or other in behind:
            raise mistake(path, keys, f"'{other}' is like '{column}' itself")
        if other not in known:
            raise mistake(path, keys, f"unknown column '{other}'; {did_you_mean(other, known)}")
        settle(other, (*behind, column))
        for settings in _scales(value).values():
            _put_under(settings, column, other)
        settled.add(column)

    for column in likes:
        settle(column, ())
    return value


def _put_under(settings: Plain, column: str, other: str) -> None:
    """The patches of a column and of its cells under those of a column that is like it."""
    patches = _mapping(settings, "columns")
    if other in patches:
        settings["columns"] = {
            **patches,
            column: merge(_mapping(patches, other), _mapping(patches, column), keep_null=True),
        }
    cells = _mapping(settings, "cells")
    for name in [name for name in cells if name.endswith(f"/{other}")]:
        alike = f"{name.partition('/')[0]}/{column}"
        settings["cells"][alike] = merge(_mapping(cells, name), _mapping(cells, alike), keep_null=True)


def _drop_left_overs(settings: Plain, parent: Plain, merged: Plain, own: Plain) -> None:
    """Leave out the parent's patches of what this table has not; what it says itself stays, right or wrong."""
    before, now = _ids(parent), _ids(merged)
    for place in PLACES:
        patches = _mapping(settings, place)
        inherited = [name for name in patches if name not in _mapping(own, place)]
        gone = {name for name in inherited if _names_gone(name, before[place], now[place])}
        if gone:
            settings[place] = {name: patch for name, patch in patches.items() if name not in gone}


def _ids(value: Plain) -> dict[str, tuple[set[str], ...]]:
    """The ids that a name in each place may have, piece by piece."""
    rows, columns = ({item["id"] for item in _items(value, place)} for place in ("rows", "columns"))
    groups = {row["group"] for row in _items(value, "rows") if isinstance(row.get("group"), str)}
    return {"columns": (columns,), "groups": (groups,), "rows": (rows,), "cells": (rows, columns)}


def _names_gone(name: str, before: tuple[set[str], ...], now: tuple[set[str], ...]) -> bool:
    """Whether a piece of a patch's name (of a cell its row or column, else all of it) is an id of the parent alone."""
    return any(piece in ids - left for piece, ids, left in zip(str(name).split("/"), before, now, strict=False))


def _has_cell(value: Plain, name: Any) -> bool:
    rows, columns = _ids(value)["cells"]
    row, _, column = str(name).partition("/")
    return row in {*rows, "*"} and column in {*columns, "*"}


def _items(value: Plain, place: str) -> list[Plain]:
    """The rows or columns that are mappings with an id; what else stands there is refused by the table's validation."""
    items = value.get(place)
    found = items if isinstance(items, list) else []
    return [item for item in found if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _scales(value: Plain) -> dict[str, Plain]:
    return {scale: settings for scale, settings in _mapping(value, "scales").items() if isinstance(settings, dict)}


def _mapping(value: Plain, key: str) -> Plain:
    """A mapping inside another; empty where it is absent, null or something else."""
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}
