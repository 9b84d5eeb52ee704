"""Splits as the names of files, folders and arrays tell them: train, test, and validation where there is no test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

WORDS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip


def split_in(name: str) -> str | None:
    """The split that a file's name says, or else the nearest of its folders: "data/train-00000-of-00002.parquet"."""
    path = PurePosixPath(name)
    for part in (path.stem, *(folder.name for folder in path.parents)):
        words = [WORDS[word] for word in re.split(r"[^a-z]+", part.lower()) if word in WORDS]
        if words:
            return words[0]
    return None


def meant(found: Iterable[str | None]) -> dict[str | None, str | None]:
    """What the splits of a release are here; those that are left out are not among the keys.

    Training pictures alone are a set that is yet to be divided. A validation split is the test split of a release
    without one, and left out of one with it, as is what is of no split.
    """
    names = set(found)
    if "train" not in names or not names & {"test", "validation"}:
        return dict.fromkeys(names)
    return {"train": "train", ("test" if "test" in names else "validation"): "test"}


def kind_left_out(split: str | None) -> str:
    """How the pictures of a split that is left out are counted."""
    return f"of the {split} split" if split else "of no split"
