"""Releases whose container says of every picture what class and split it is of: CIFAR, downsampled ImageNet, STL-10.

With the option `train_split: none` the pictures of no split are for training, as STL-10's without labels;
`labels: none` drops the classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every picture of the two splits. UserError where the container does not say what it should."""
    splits = {None if options.get("train_split") == "none" else "train": "train", "test": "test"}
    labelled = options.get("labels") != "none"
    taken = [
        replace(item, label=item.label if labelled else None, split=splits[item.split])
        for item in items
        if item.split in splits
    ]
    found = {item.split for item in taken}
    for name, split in splits.items():
        if split not in found:
            told = f"of the split {name}" if name else "without a split"
            raise UserError(f"{source.path}: has no pictures {told}; is it what its publisher offers?")
    without = next((item.name for item in taken if item.label is None), None)
    if labelled and without is not None:
        raise UserError(f"{source.path}: has pictures without a class, such as {without}")
    classes = tuple(sorted({item.label for item in taken if item.label is not None}, key=_place))
    return Arranged(tuple(taken), classes, left_out=Counter({"of other splits": len(items) - len(taken)}))


def _place(label: str) -> tuple[int, str]:
    """Numbers in their order, as downsampled ImageNet's 1 to 1000; names by themselves."""
    return int(label) if label.isdecimal() else 0, label
