"""NAME@N: the first N training and the first N test images of a data set, as a set of its own.

A run that needs a hundred pictures need not wait for thousands. The smaller set has its own name, folder and sums, so
a record says which one was read, and nothing changes for it when the whole set is built. Only a set whose first
pictures do not depend on how many there are (`any_count` in its entry) can be had so.
"""

from __future__ import annotations

import re

from bench.data.catalogue import DatasetEntry
from bench.errors import UserError

MARK = "@"


def is_smaller(name: str) -> bool:
    """Whether a name asks for a part of a set."""
    return MARK in name


def whole_name(name: str) -> str:
    """NAME of NAME@N; any other name as it is."""
    return name.partition(MARK)[0]


def smaller(name: str, entry: DatasetEntry) -> DatasetEntry:
    """The entry of NAME@N, from that of NAME. UserError for a set that has no smaller ones, and for an N that fits not.

    A split that has fewer than N images is taken whole.
    """
    whole, _, number = name.partition(MARK)
    if not re.fullmatch(r"[1-9][0-9]{0,8}", number):
        raise UserError(f"data set '{name}': after the {MARK} stands a number of images, as in {whole}{MARK}400")
    if not entry.any_count:
        raise UserError(f"data set '{name}': '{whole}' can be built as a whole only; leave out {MARK}{number}")
    count = int(number)
    if count >= max(entry.train, entry.test):
        raise UserError(
            f"data set '{name}': '{whole}' has {entry.train} training and {entry.test} test images; "
            f"choose fewer than {max(entry.train, entry.test)}, or leave out {MARK}{number}"
        )
    counts = {"train": min(count, entry.train), "test": min(count, entry.test)}
    summary = f"the first {count} training and test images of {whole}"
    return entry.model_copy(update={**counts, "summary": summary, "known_sha256": {}})
