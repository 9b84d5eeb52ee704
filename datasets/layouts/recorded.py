"""Releases whose container says of every picture what class and split it is of: CIFAR, downsampled ImageNet, STL-10.

The option `train_split` names the split that is for training where it is not `train`, such as STL-10's `unlabeled`;
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
    splits = {options.get("train_split", "train"): "train", "test": "test"}
    labelled = options.get("labels") != "none"
    taken = [
        replace(item, label=item.label if labelled else None, split=splits[item.split])
        for item in items
        if item.split in splits
    ]
    found = {item.split for item in taken}
    for name, split in splits.items():
        if split not in found:
            raise UserError(f"{source.path}: has no pictures of the split '{name}'; is it what its publisher offers?")
    without = next((item.name for item in taken if item.label is None), None)
    if labelled and without is not None:
        raise UserError(f"{source.path}: has pictures without a class, such as {without}")
    classes = tuple(sorted({item.label for item in taken if item.label is not None}))
    return Arranged(tuple(taken), classes, left_out=Counter({"of other splits": len(items) - len(taken)}))
