"""The default layout: flat, a folder for each class, train/ beside test/, or a table of labels among the pictures.

These are the arrangements of torchvision's ImageFolder and of Hugging Face's imagefolder: TRAIN/CLASS/picture,
CLASS/picture, or pictures with a metadata.csv or metadata.jsonl (bench.datasets.layouts.metadata).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged

# The names of a folder that holds a split, whatever their capitals.
SPLITS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
EXACT = {"train": "train", "test": "test"}  # what counts with `split_names: exact`


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every item, with the split and the class that its folders say.

    Folders are splits where one is for training. A validation split is the test split of a release without one, and
    left out of one with it, as are items beside the splits' folders. The folder below, or the first where there are no
    splits, is the class: see `classes_of`. Options `split_names: exact` and `labels: none` turn both off; with
    `reference: all` folders are no splits. UserError for train/ without any counterpart.
    """
    names = EXACT if options.get("split_names") == "exact" else SPLITS
    placed = [(item, _split_of(item, names)) for item in items]
    found = {split for _, split in placed if split}
    if "train" not in found and (options.get("split_names") != "exact" or "test" not in found):
        found = set()
    if options.get("reference") == "all" or not found:
        return Arranged(tuple(_labelled(item, 0, options) for item in items))
    if len(found) == 1:
        (only,) = found
        raise UserError(
            f"{source.path}: has a folder {only}/ but not the other of train/ and test/; "
            f"--from {source.path}/{only} divides that folder at random"
        )
    meant = {"train": "train", "test": "test"} if "test" in found else {"train": "train", "validation": "test"}
    kept, left_out = [], Counter[str]()
    for item, split in placed:
        if split in meant:
            kept.append(replace(_labelled(item, 1, options), split=meant[split]))
        else:
            left_out["of the validation split" if split else _BESIDE] += 1
    return Arranged(tuple(kept), left_out=left_out)


_BESIDE = "beside train/ and test/"


def classes_of(items: Iterable[Item]) -> tuple[str, ...]:
    """The classes of pictures that lie in folders, sorted; none unless every picture has one and there are two.

    Only pictures count, so whoever knows which items are some asks for this: a README beside the folders of classes
    does not unmake them, a picture beside them does.
    """
    labels = {item.label for item in items}
    return tuple(sorted(label for label in labels if label)) if None not in labels and len(labels) > 1 else ()


def _split_of(item: Item, names: Mapping[str, str]) -> str | None:
    folder, slash, _ = item.name.partition("/")
    if not slash:
        return None
    return names.get(folder if names is EXACT else folder.lower())


def _labelled(item: Item, depth: int, options: Mapping[str, Any]) -> Item:
    """The item with the folder at this depth as its class; without a class where it lies in none."""
    parts = item.name.split("/")
    if options.get("labels") == "none" or item.label is not None or len(parts) < depth + 2:
        return item
    return replace(item, label=parts[depth])
