"""The slots of a set's pictures: which split, which class, in an order that does not depend on how many there are.

A set of fewer pictures is therefore the beginning of a larger one: NAME@N of bench.data.smaller_sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.seeds import numpy_stream

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")


@dataclass(frozen=True)
class Slot:
    """Where a picture belongs. `number` counts within its split, `rank` within its split and class."""

    split: Split
    number: int
    label: int
    rank: int


def slots(name: str, train: int, test: int, classes: int) -> list[Slot]:
    """All slots of a set, by number, of each number the training image first.

    The classes come in blocks that hold each class once in random order, so that the first n images of a split are
    balanced for every n, and those of the first n numbers are the same whatever the counts.
    """
    found = []
    for split, count in zip(SPLITS, (train, test), strict=True):
        stream = numpy_stream(0, name, "classes", split)
        labels = [label for _ in range(0, count, classes) for label in stream.permutation(classes).tolist()]
        found += [Slot(split, number, labels[number], number // classes) for number in range(count)]
    return sorted(found, key=lambda slot: (slot.number, slot.split != "train"))
