"""Oxford's 102 flowers: jpg/image_00001.jpg to image_08189.jpg, imagelabels.mat, setid.mat.

The option `classes` takes the numbers of the classes that are wanted, 1 to 102 as Oxford counts them; one class alone
is a set without labels. Where imagelabels.mat is not there, every picture is taken to be of the one wanted class,
unless there are more of Oxford's pictures than any class has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import by_number, file_name
from .side_files import MOST_MATLAB, find

PICTURE = r"image_(\d{5})\.jpg"
TRAINING = ("trnid", "valid")  # Oxford's own training and validation sets
TEST = "tstid"
LARGEST_CLASS = 258  # pictures of class 51, the most that a class of Oxford's has


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """The pictures of the wanted classes, with Oxford's split where setid.mat is there."""
    # The class of each picture; one class alone may come without labels
    wanted = [int(number) for number in options.get("classes", ())]
    found = find(source, items, "imagelabels.mat", MOST_MATLAB)
    if found is None:
        if len(wanted) != 1:
            raise UserError(f"{source.path}: imagelabels.mat is missing, so the classes are not known")
        several = sum(re.fullmatch(PICTURE, file_name(item)) is not None for item in items)
        if several > LARGEST_CLASS:
            raise UserError(
                f"{source.path}: has {several:,} of Oxford's pictures, more than any class ({LARGEST_CLASS}), and "
                "imagelabels.mat, which says what class each is of, is neither in it nor beside it"
            )
        return Arranged(tuple(items))
    pictures = by_number(source.path, items, PICTURE)
    label_of = dict(enumerate(found.matlab("labels").astype(np.int64).tolist(), 1))
    unlabelled = pictures.keys() - label_of.keys()
    if unlabelled:
        raise UserError(
            f"{found.where}: labels {len(label_of):,} pictures, but there is image_{max(unlabelled):05}.jpg"
        )
    # The wanted classes, of which no picture may be missing
    classes = wanted or sorted(set(label_of.values()))
    missing = [number for number, label in label_of.items() if label in classes and number not in pictures]
    if missing:
        raise UserError(
            f"{source.path}: {len(missing):,} pictures of the wanted classes are missing, such as "
            f"image_{missing[0]:05}.jpg"
        )
    # Their pictures, by class and Oxford's split
    split_of = _splits(source, items)
    names = tuple(f"{label:03}" for label in classes) if len(classes) > 1 else ()
    taken = tuple(
        Item(item.name, f"{label_of[number]:03}" if names else None, split_of.get(number))
        for number, item in pictures.items()
        if label_of[number] in classes
    )
    others = len(pictures) - len(taken)
    return Arranged(
        taken, names, left_out=Counter({"of other classes": others, "side files": len(items) - len(pictures)})
    )


def _splits(source: Source, items: Sequence[Item]) -> dict[int, str]:
    """Oxford's split of every picture, by number; empty without setid.mat."""
    found = find(source, items, "setid.mat", MOST_MATLAB)
    if found is None:
        return {}
    train = {int(number): "train" for key in TRAINING for number in found.matlab(key)}
    return train | {int(number): "test" for number in found.matlab(TEST)}
