"""ImageNet-2012 (ILSVRC): train/SYNSET/FILE.JPEG, and val/ in folders of synsets or flat with a list of its labels.

A synset is a class, n01440764. The order of the classes is that of their names, as everywhere; a list of them
(LOC_synset_mapping.txt or synset_words.txt) is held against the folders where it is there. A flat val/ needs
LOC_val_solution.csv of the Kaggle release.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import file_name, folders
from .side_files import find, need

SYNSET = re.compile(r"n\d{8}")
LISTS = ("LOC_synset_mapping.txt", "synset_words.txt", "synsets.txt")
SOLUTION = "LOC_val_solution.csv"
SPLITS = {"train": "train", "val": "test", "validation": "test"}


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Training and validation pictures with their synsets; the validation pictures are the test split."""
    taken, flat = [], []
    for item in items:
        parts = folders(item)
        split = next((SPLITS[part] for part in parts if part in SPLITS), None)
        if split is None or not file_name(item).lower().endswith((".jpeg", ".jpg", ".png")):
            continue
        if SYNSET.fullmatch(parts[-1]):
            taken.append(Item(item.name, parts[-1], split))
        elif split == "test":
            flat.append(item)
    if flat:
        label_of = _solution(source, items)
        unknown = [item.name for item in flat if file_name(item).partition(".")[0] not in label_of]
        if unknown:
            raise UserError(f"{source.path}: {SOLUTION} gives {len(unknown):,} pictures no class, such as {unknown[0]}")
        taken += [Item(item.name, label_of[file_name(item).partition(".")[0]], "test") for item in flat]
    taken.sort(key=lambda item: item.name)
    classes = _classes(source, items, taken)
    return Arranged(tuple(taken), classes, left_out=Counter({"side files and others": len(items) - len(taken)}))


def _classes(source: Source, items: Sequence[Item], taken: Sequence[Item]) -> tuple[str, ...]:
    """The synsets by name. UserError where the folders are not those of the list, or val/ has one that train/ lacks."""
    found = {item.label for item in taken if item.label and item.split == "train"}
    listed = next((file for name in LISTS if (file := find(source, items, name)) is not None), None)
    expected = {line.split()[0] for line in listed.lines()} if listed else found
    for kind, names in (
        ("has no training pictures of", expected - found),
        ("has classes that the list lacks:", found - expected),
        ("has validation pictures of classes without training pictures:", {item.label or "" for item in taken} - found),
    ):
        if names:
            where = listed.where if listed else str(source.path)
            raise UserError(f"{source.path}: {kind} {', '.join(sorted(names)[:3])} ({len(names):,} in all; {where})")
    return tuple(sorted(found))


def _solution(source: Source, items: Sequence[Item]) -> dict[str, str]:
    """The synset of every validation picture by its name without suffix. A line: NAME,SYNSET X Y X Y ..."""
    file = need(source, items, SOLUTION)
    label_of = {}
    for line in file.lines()[1:]:
        name, _, boxes = line.partition(",")
        synset = boxes.split(maxsplit=1)[0] if boxes.strip() else ""
        if not SYNSET.fullmatch(synset):
            raise UserError(f"{file.where}: no synset in the line of {name}")
        label_of[name] = synset
    return label_of
