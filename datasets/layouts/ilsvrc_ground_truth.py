"""The classes of ImageNet's validation pictures as its own development kit (ILSVRC2012_devkit_t12) gives them.

ILSVRC2012_validation_ground_truth.txt has a number a line, 1 to 1000, for ILSVRC2012_val_00000001.JPEG and so on.
meta.mat has the synset of each number, and those of groups of classes (1001 to 1860). The numbers are not the order of
the synsets' names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .file_names import by_number, file_name
from .matlab_structs import MOST_PACKED, structs
from .side_files import SideFile, need

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
SYNSETS = "meta.mat"
PICTURE = r"ILSVRC2012_val_(\d{8})\.JPEG"


def synset_of(source: Source, items: Sequence[Item], truth: SideFile, pictures: Sequence[Item]) -> dict[str, str]:
    """The synset of every validation picture, by the item's name. UserError for a list that does not fit them."""
    numbers = truth.lines()
    numbered = by_number(source.path, pictures, PICTURE)
    taken = {item.name for item in numbered.values()}
    others = [item.name for item in pictures if item.name not in taken]
    if others:
        raise UserError(f"{source.path}: {others[0]} has no number by which {GROUND_TRUTH} gives its class")
    if list(numbered) != list(range(1, len(numbers) + 1)):
        raise UserError(
            f"{truth.where}: gives {len(numbers):,} classes, but there are {len(numbered):,} validation pictures"
            + (f", up to {file_name(numbered[max(numbered)])}" if numbered else "")
        )
    synsets = _synsets(need(source, items, SYNSETS, MOST_PACKED))
    for line, number in enumerate(numbers, 1):
        if number.strip() not in synsets:
            raise UserError(f"{truth.where}: line {line}: '{number.strip()[:20]}' is no class of {SYNSETS}")
    return {item.name: synsets[numbers[number - 1].strip()] for number, item in numbered.items()}


def _synsets(file: SideFile) -> dict[str, str]:
    """The synset of each number, as text."""
    found: dict[str, str] = {}
    for place, (number, synset) in enumerate(structs(file, "synsets", ("ILSVRC2012_ID", "WNID")), 1):
        if not _is_whole(number) or not re.fullmatch(r"n\d{8}", str(synset)):
            raise UserError(f"{file.where}: ILSVRC2012_ID or WNID of struct {place} is no number or no synset")
        if found.setdefault(str(int(number)), str(synset)) != synset:
            raise UserError(f"{file.where}: gives class {int(number)} two synsets, one of them {synset}")
    return found


def _is_whole(number: str | float) -> bool:
    return isinstance(number, int) or (isinstance(number, float) and number.is_integer())
