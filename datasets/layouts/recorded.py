"""Releases whose container says of every picture what class and split it is of: CIFAR, downsampled ImageNet, STL-10.

With the option `train_split: none` the pictures of no split are for training, as STL-10's without labels;
`labels: none` drops the classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.data.sources.item_table import ItemTable
from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .class_order import in_order


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every picture of the two splits. UserError where the container does not say what it should."""
    splits = {None if options.get("train_split") == "none" else "train": "train", "test": "test"}
    labelled = options.get("labels") != "none"
    taken = ItemTable(
        Item(item.name, item.label if labelled else None, splits[item.split]) for item in items if item.split in splits
    )
    found = {taken.splits()[1][code] for code in np.unique(taken.splits()[0])}
    for name, split in splits.items():
        if split not in found:
            told = f"of the split {name}" if name else "without a split"
            raise UserError(f"{source.path}: has no pictures {told}; is it what its publisher offers?")
    if labelled and None in taken.labels()[1]:
        without = next(item.name for item in taken if item.label is None)
        raise UserError(f"{source.path}: has pictures without a class, such as {without}")
    left_out = Counter({"of other splits": len(items) - len(taken)})
    return Arranged(taken, in_order(taken.labels()[1]), left_out=left_out)
