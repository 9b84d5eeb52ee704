"""ImageNet-2012 (ILSVRC): train/SYNSET/FILE.JPEG, and val/ in folders of synsets or flat with a list of its labels.

A synset is a class, n01440764. The order of the classes is that of their names, as everywhere; a list of them
(LOC_synset_mapping.txt or synset_words.txt) is held against the folders where it is there. The classes of a flat val/
are in LOC_val_solution.csv of the Kaggle release, or in the development kit of ImageNet's own. ImageNet's own archives
are folders here, as the source offers them: ILSVRC2012_img_train.tar/SYNSET.tar/FILE.JPEG.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.item_table import ItemTable
from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import file_name, folders
from .ilsvrc_ground_truth import GROUND_TRUTH, synset_of
from .side_files import SideFile, find

SYNSET = re.compile(r"(n\d{8})(?:\.tar)?")
LISTS = ("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt")
SOLUTION = "LOC_val_solution.csv"
SPLITS = {
    "train": "train", "ILSVRC2012_img_train.tar": "train",
    "val": "test", "validation": "test", "ILSVRC2012_img_val.tar": "test",
}  # fmt: skip


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Training and validation pictures with their synsets; the validation pictures are the test split."""
    flat = [item for item in items if _place(item) == ("test", None)]
    label_of = _labels(source, items, flat) if flat else {}
    taken = ItemTable(
        Item(item.name, synset or label_of[item.name], split)
        for item in items
        for split, synset in (_place(item),)
        if split and (synset or split == "test")
    )
    classes = _classes(source, items, taken)
    return Arranged(taken, classes, left_out=Counter({"side files and others": len(items) - len(taken)}))


def _place(item: Item) -> tuple[str | None, str | None]:
    """The split of an item that is called a picture, and its synset if it lies in the folder of one."""
    parts = folders(item)
    split = next((SPLITS[part] for part in parts if part in SPLITS), None)
    if split is None or not file_name(item).lower().endswith((".jpeg", ".jpg", ".png")):
        return None, None
    synset = SYNSET.fullmatch(parts[-1])
    return split, synset[1] if synset else None


def _classes(source: Source, items: Sequence[Item], taken: Sequence[Item]) -> tuple[str, ...]:
    """The synsets by name. UserError where the folders are not those of the list, or val/ has one that train/ lacks."""
    every = {(item.label or "", item.split) for item in taken}
    found = {label for label, split in every if label and split == "train"}
    listed = next((file for name in LISTS if (file := find(source, items, name)) is not None), None)
    expected = {line.split()[0] for line in listed.lines()} if listed else found
    for kind, names in (
        ("has no training pictures of", expected - found),
        ("has classes that the list lacks:", found - expected),
        ("has validation pictures of classes without training pictures:", {label for label, _ in every} - found),
    ):
        if names:
            where = listed.where if listed else str(source.path)
            raise UserError(f"{source.path}: {kind} {', '.join(sorted(names)[:3])} ({len(names):,} in all; {where})")
    return tuple(sorted(found))


def _labels(source: Source, items: Sequence[Item], flat: Sequence[Item]) -> dict[str, str]:
    """The synset of every picture of a flat val/, by the item's name. UserError without a list of them."""
    if (solution := find(source, items, SOLUTION)) is not None:
        return _solution(source, solution, flat)
    if (truth := find(source, items, GROUND_TRUTH)) is not None:
        return synset_of(source, items, truth, flat)
    raise UserError(
        f"{source.path}: {SOLUTION} is missing, and so is {GROUND_TRUTH}: the validation pictures lie flat, and their "
        "classes are in the one (Kaggle's release) or in the other (ILSVRC2012_devkit_t12.tar.gz); put it in there"
    )


def _solution(source: Source, file: SideFile, flat: Sequence[Item]) -> dict[str, str]:
    """The synsets by Kaggle's list of names without suffix. A line: NAME,SYNSET X Y X Y ..."""
    label_of = {}
    for line in file.lines()[1:]:
        name, _, boxes = line.partition(",")
        synset = boxes.split(maxsplit=1)[0] if boxes.strip() else ""
        if not re.fullmatch(r"n\d{8}", synset):
            raise UserError(f"{file.where}: no synset in the line of {name}")
        label_of[name] = synset
    unknown = [item.name for item in flat if file_name(item).partition(".")[0] not in label_of]
    if unknown:
        raise UserError(f"{source.path}: {SOLUTION} gives {len(unknown):,} pictures no class, such as {unknown[0]}")
    return {item.name: label_of[file_name(item).partition(".")[0]] for item in flat}
