"""The default layout: flat, a folder for each class, train/ beside test/, or a table of labels among the pictures.

These are the arrangements of torchvision's ImageFolder and of Hugging Face's imagefolder: TRAIN/CLASS/picture,
CLASS/picture, or pictures with a metadata.csv or metadata.jsonl (bench.datasets.layouts.metadata). A folder that all
pictures lie in, as archives have one, does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.data.picture import SUFFIXES
from bench.data.sources.item_table import Chosen, ItemTable
from bench.data.sources.names import shown, suffix
from bench.data.sources.source import Item, Source
from bench.data.sources.split_names import WORDS
from bench.errors import UserError

from .arrangement import Arranged
from .class_order import in_order
from .metadata import is_table, read_metadata

_BESIDE = "beside train/ and test/"
EXACT = {"train": "train", "test": "test"}  # what counts with `split_names: exact`


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every item, with the split that its folder says, and the class and attributes of its folder or of a table.

    Folders are splits where one is for training. A validation split is the test split of a release without one, and
    left out of one with it, as are items beside the splits' folders. The next folder is the class; `classes_of` says
    when it is one. Options `split_names: exact` and `labels: none` turn all of this off but train/ and test/; with
    `reference: all` folders are no splits. UserError for train/ without its counterpart.
    """
    # The splits, by the folder behind those that hold everything.
    items = items if isinstance(items, ItemTable) else ItemTable(items)
    exact = options.get("split_names") == "exact"
    depth, words = (0, EXACT) if exact else (_common_folders(items.names), WORDS)
    found = {_split_of(name, depth, words) for name in items.names} - {None}
    placed, left_out, above = items, Counter[str](), list[str]()
    if options.get("reference") != "all" and ("train" in found or (exact and found)):
        splits = _meant(source, items.names, depth, found)
        placed = ItemTable(_divided(items, depth, words, splits, left_out))
        above = [name for name in items.names if is_table(name) and not _folders(name, depth)]
        depth += 1
    if options.get("labels") == "none":
        return Arranged(placed, left_out=left_out)

    # Classes and attributes: of a table, else of the folders and of a container that has them.
    if table := read_metadata(source, placed, items, above):
        left_out[_BESIDE] -= len(above)  # which are side files now
        return replace(table, left_out=left_out + table.left_out)
    codes, labels = placed.labels()
    folder_of = (_folders(name, depth) for name in placed.names)
    labelled = placed.with_labels(
        labels[code] if labels[code] is not None or not folders else folders[0]
        for code, folders in zip(codes.tolist(), folder_of, strict=True)
    )
    return Arranged(labelled, attribute_names=labelled.attribute_names(), left_out=left_out)


def classes_of(pictures: Iterable[Item]) -> tuple[str, ...]:
    """The classes of pictures that lie in folders, in order; none unless every picture has one and there are two.

    Only pictures count, so whoever knows which items are some asks for this: a README beside the folders of classes
    does not unmake them, a picture beside them does.
    """
    labels = pictures.labels() if isinstance(pictures, Chosen) else {item.label for item in pictures}
    return in_order(labels) if None not in labels and len(labels) > 1 else ()


def lost_classes(pictures: Chosen) -> str:
    """What to say where there are classes, but not for every picture, so that the set has none; else empty."""
    labels = pictures.labels()
    if None not in labels or len(labels) < 3:
        return ""
    without = [place for place, item in enumerate(pictures) if item.label is None]
    name = shown(pictures[without[0]].name)
    return f"no classes, as {len(without):,} of {len(pictures):,} pictures have none, such as {name}"


def _meant(source: Source, names: Iterable[str], depth: int, found: set[str | None]) -> Mapping[str | None, str]:
    """Word in a folder's name -> the split; UserError where there is but one of the two."""
    if len(found) > 1:
        return {"train": "train", "test": "test"} if "test" in found else {"train": "train", "validation": "test"}
    (only,) = found
    others = sorted({folders[0] for name in names if (folders := _folders(name, depth))})
    others = [shown(other) for other in others if other.lower() not in WORDS]
    beside = f"{', '.join(others[:3])}{' and others' if len(others) > 3 else ''}"
    raise UserError(
        f"{source.path}: has a folder {only}/ but not the other of train/ and test/; give that folder itself to have "
        "it divided at random"
        + (f", or, if {only} is a class like {beside}, give its folder another name ({only}s)" if others else "")
    )


def _divided(
    items: Sequence[Item],
    depth: int,
    words: Mapping[str, str],
    splits: Mapping[str | None, str],
    left_out: Counter[str],
) -> Iterator[Item]:
    """The items of train and test; what lies elsewhere is counted."""
    for item in items:
        word = _split_of(item.name, depth, words)
        if word in splits:
            yield replace(item, split=splits[word])
        else:
            left_out["of the validation split" if word else _BESIDE] += 1


def _common_folders(names: Iterable[str]) -> int:
    """How many folders, one in the other, hold everything that is called a picture; one that is a split ends them."""
    pictures = (name for name in names if suffix(name) in SUFFIXES)
    first = last = next(pictures, "")
    for last in pictures:  # noqa: B007  # sorted: the first and the last differ most
        pass
    depth = 0
    for one, other in zip(first.split("/")[:-1], last.split("/")[:-1], strict=False):
        if one != other or one.lower() in WORDS:
            break
        depth += 1
    return depth


def _folders(name: str, depth: int) -> list[str]:
    return name.split("/")[depth:-1]


def _split_of(name: str, depth: int, words: Mapping[str, str]) -> str | None:
    folders = _folders(name, depth)
    return words.get(folders[0] if words is EXACT else folders[0].lower()) if folders else None
