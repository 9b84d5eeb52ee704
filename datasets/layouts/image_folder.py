"""The default layout: flat, a folder for each class, train/ beside test/, or a table of labels among the pictures.

These are the arrangements of torchvision's ImageFolder and of Hugging Face's imagefolder: TRAIN/CLASS/picture,
CLASS/picture, or pictures with a metadata.csv or metadata.jsonl (bench.datasets.layouts.metadata). A folder that all
pictures lie in, as archives have one, does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from bench.data.picture import SUFFIXES
from bench.data.sources.names import shown
from bench.data.sources.source import Item, Source
from bench.data.sources.split_names import WORDS
from bench.errors import UserError

from .arrangement import Arranged
from .metadata import read_metadata

EXACT = {"train": "train", "test": "test"}  # what counts with `split_names: exact`


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every item, with the split that its folder says, and the class and attributes of its folder or of a table.

    Folders are splits where one is for training. A validation split is the test split of a release without one, and
    left out of one with it, as are items beside the splits' folders. The next folder is the class; `classes_of` says
    when it is one. Options `split_names: exact` and `labels: none` turn all of this off but train/ and test/; with
    `reference: all` folders are no splits. UserError for train/ without its counterpart.
    """
    exact = options.get("split_names") == "exact"
    depth = 0 if exact else _common_folders(items)
    splits = [_split_of(item, depth, EXACT if exact else WORDS) for item in items]
    found = set(splits) - {None}
    if "train" not in found and not exact:
        found = set()
    if options.get("reference") == "all" or not found:
        placed, left_out = list(items), Counter[str]()
    else:
        placed, left_out = _divided(source, list(zip(items, splits, strict=True)), found)
        depth += 1
    if options.get("labels") == "none":
        return Arranged(tuple(placed), left_out=left_out)
    if table := read_metadata(source, placed):
        return replace(table, left_out=left_out + table.left_out)
    attributes = tuple(sorted({name for item in placed for name in item.attributes}))  # of a container that has them
    return Arranged(tuple(_labelled(item, depth) for item in placed), attribute_names=attributes, left_out=left_out)


def classes_of(items: Iterable[Item]) -> tuple[str, ...]:
    """The classes of pictures that lie in folders, sorted; none unless every picture has one and there are two.

    Only pictures count, so whoever knows which items are some asks for this: a README beside the folders of classes
    does not unmake them, a picture beside them does.
    """
    labels = {item.label for item in items}
    return tuple(sorted(label for label in labels if label)) if None not in labels and len(labels) > 1 else ()


def lost_classes(items: Sequence[Item]) -> str:
    """What to say where there are classes, but not for every picture, so that the set has none; else empty."""
    without = [item.name for item in items if not item.label]
    if not without or len({item.label for item in items}) < 3:
        return ""
    return f"no classes, as {len(without):,} of {len(items):,} pictures have none, such as {shown(without[0])}"


def _divided(
    source: Source, placed: Sequence[tuple[Item, str | None]], found: set[str | None]
) -> tuple[list[Item], Counter[str]]:
    """The items of train and test, and what lies elsewhere."""
    if len(found) == 1:
        (only,) = found
        raise UserError(
            f"{source.path}: has a folder {only}/ but not the other of train/ and test/; "
            "give that folder itself to have it divided at random"
        )
    meant = {"train": "train", "test": "test"} if "test" in found else {"train": "train", "validation": "test"}
    kept, left_out = [], Counter[str]()
    for item, split in placed:
        if split in meant:
            kept.append(replace(item, split=meant[split]))
        else:
            left_out["of the validation split" if split else "beside train/ and test/"] += 1
    return kept, left_out


def _common_folders(items: Sequence[Item]) -> int:
    """How many folders, one in the other, hold everything that is called a picture; one that is a split ends them."""
    names = [item.name for item in items if PurePosixPath(item.name).suffix.lower() in SUFFIXES]
    if not names:
        return 0
    first, last = names[0].split("/")[:-1], names[-1].split("/")[:-1]  # sorted: the two that differ most
    depth = 0
    for one, other in zip(first, last, strict=False):
        if one != other or one.lower() in WORDS:
            break
        depth += 1
    return depth


def _split_of(item: Item, depth: int, names: Mapping[str, str]) -> str | None:
    folders = item.name.split("/")[depth:-1]
    return names.get(folders[0] if names is EXACT else folders[0].lower()) if folders else None


def _labelled(item: Item, depth: int) -> Item:
    """The item with the folder at this depth as its class; without a class where it lies in none."""
    folders = item.name.split("/")[depth:-1]
    return replace(item, label=folders[0]) if folders and item.label is None else item
