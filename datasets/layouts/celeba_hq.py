"""CelebA-HQ: pictures named by number, and CelebA's forty attributes where a table of them is there.

As CelebAMask-HQ has it: CelebA-HQ-img/0.jpg to 29999.jpg with CelebAMask-HQ-attribute-anno.txt. Or any folder of
numbered pictures with CelebA's list_attr_celeba.txt, which is by CelebA's own file names; then
CelebA-HQ-to-CelebA-mapping.txt (or image_list.txt of the original release) says which is which. Masks are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import below, by_number
from .numbered import PICTURE
from .side_files import SideFile, find

PICTURES = "CelebA-HQ-img"
BY_NUMBER, BY_CELEBA = "CelebAMask-HQ-attribute-anno.txt", "list_attr_celeba.txt"
MAPPINGS = ("CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt")
VALUES = {"1": True, "-1": False}

Attributes = dict[str, dict[str, bool]]  # file name -> attribute -> whether it has it


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """The pictures by number, each with its attributes if a table of them is there."""
    pictures = by_number(source.path, below(items, [PICTURES]) or items, PICTURE)
    names, attributes = _attributes(source, items)
    without = [number for number in pictures if names and number not in attributes]
    if without:
        raise UserError(f"{source.path}: {len(without):,} pictures have no attributes, such as number {without[0]}")
    taken = tuple(Item(item.name, attributes=attributes.get(number, {})) for number, item in pictures.items())
    left_out = Counter({"masks, side files and others": len(items) - len(taken)})
    return Arranged(taken, attribute_names=names, left_out=left_out)


def _attributes(source: Source, items: Sequence[Item]) -> tuple[tuple[str, ...], dict[int, dict[str, bool]]]:
    """The attributes' names, and every picture's attributes by its number; both empty without a table."""
    if (table := find(source, items, BY_NUMBER)) is not None:
        names, rows = _table(table)
        return names, {_number(table, file): row for file, row in rows.items()}
    if (table := find(source, items, BY_CELEBA)) is None:
        return (), {}
    mapping = next((file for name in MAPPINGS if (file := find(source, items, name)) is not None), None)
    if mapping is None:
        raise UserError(f"{table.where}: is by CelebA's file names; {' or '.join(MAPPINGS)} is missing beside it")
    names, rows = _table(table)
    found = {}
    for line in mapping.lines()[1:]:  # the first line names the columns: idx orig_idx orig_file ...
        fields = line.split()
        if len(fields) < 3 or fields[2] not in rows:
            raise UserError(f"{mapping.where}: the line '{line[:40]}' names no picture of {BY_CELEBA}")
        found[_number(mapping, fields[0])] = rows[fields[2]]
    return names, found


def _table(file: SideFile) -> tuple[tuple[str, ...], Attributes]:
    """An attribute table: a count, the names, then a line for each picture with its file name and 1 or -1 for each."""
    lines = file.lines()
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise UserError(f"{file.where}: does not begin with a count and a line of names")
    count, names = int(lines[0]), tuple(lines[1].split())
    if len(lines) - 2 != count:
        raise UserError(f"{file.where}: says {count:,} pictures and lists {len(lines) - 2:,}")
    rows = {}
    for line in lines[2:]:
        name, *values = line.split()
        if len(values) != len(names) or not VALUES.keys() >= set(values):
            raise UserError(f"{file.where}: the line of {name} is not {len(names)} times 1 or -1")
        rows[name] = {attribute: VALUES[value] for attribute, value in zip(names, values, strict=True)}
    return names, rows


def _number(file: SideFile, text: str) -> int:
    digits = text.partition(".")[0]
    if not digits.isdecimal():
        raise UserError(f"{file.where}: '{text[:40]}' is no number")
    return int(digits)
