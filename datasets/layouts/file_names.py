"""Questions about the names of items, which are paths with forward slashes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.data.sources.source import Item
from bench.errors import UserError


def folders(item: Item) -> list[str]:
    """The folders that an item lies in, outermost first."""
    return item.name.split("/")[:-1]


def file_name(item: Item) -> str:
    """An item's name without its folders."""
    return item.name.rpartition("/")[2]


def below(items: Sequence[Item], names: Iterable[str]) -> list[Item]:
    """The items that lie in a folder of one of these names, at any depth."""
    wanted = set(names)
    return [item for item in items if wanted.intersection(folders(item))]


def by_number(path: Path, items: Iterable[Item], pattern: str) -> dict[int, Item]:
    """Items by the number in their file's name, in the order of the numbers; others are left out.

    pattern: a regular expression for the whole file name, whose first group is the number. path: what messages name.
    UserError for two items of one number.
    """
    expression = re.compile(pattern)
    found: dict[int, Item] = {}
    for item in items:
        match = expression.fullmatch(file_name(item))
        if match is None:
            continue
        first = found.setdefault(int(match[1]), item)
        if first is not item:
            raise UserError(f"{path}: number {match[1]} is given twice: {first.name} and {item.name}; give one folder")
    return {number: found[number] for number in sorted(found)}
