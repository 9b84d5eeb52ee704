"""CUB-200-2011: images/CLASS/FILE.jpg, listed by number in images.txt, image_class_labels.txt, train_test_split.txt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .side_files import SideFile, need

PICTURES = "images"
SPLITS = {"0": "test", "1": "train"}


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every picture that images.txt lists, with its class and its publisher's split."""
    # What the side files say of each picture, by its number
    listed = _by_number(need(source, items, "images.txt"))
    class_names = _by_number(need(source, items, "classes.txt"))
    labels = need(source, items, "image_class_labels.txt")
    splits = need(source, items, "train_test_split.txt")
    class_of, split_of = _by_number(labels), _by_number(splits)
    # Every listed picture with its class and split
    there = {_inside(item.name): item for item in items}
    taken, missing = [], []
    for number, path in listed.items():
        item = there.get(path)
        if item is None:
            missing.append(path)
            continue
        label = class_names.get(class_of.get(number, ""))
        split = SPLITS.get(split_of.get(number, ""))
        if label is None:
            raise UserError(f"{labels.where}: gives picture {number} no class of classes.txt")
        if split is None:
            raise UserError(f"{splits.where}: does not say of picture {number} whether it is for training")
        taken.append(Item(item.name, label, split))
    # No picture may be missing, for the split would be another
    if missing:
        raise UserError(
            f"{source.path}: {len(missing):,} of {len(listed):,} listed pictures are missing, such as {missing[0]}"
        )
    taken.sort(key=lambda item: item.name)
    return Arranged(
        tuple(taken), tuple(class_names.values()), left_out=Counter({"side files": len(items) - len(taken)})
    )


def _by_number(file: SideFile) -> dict[str, str]:
    """The second field of every line by its first, in the file's order. UserError for a number that is given twice."""
    rows = file.table(2)
    found = dict(rows)
    if len(found) != len(rows):
        raise UserError(f"{file.where}: lists a number twice")
    return found


def _inside(name: str) -> str:
    """A picture's path below images/, as images.txt has it; other files keep their names."""
    return f"/{name}".rpartition(f"/{PICTURES}/")[2]
