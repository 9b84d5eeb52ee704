"""Data sets of the user's own: pictures built without a catalogue entry, found again in the cache.

`bench data build NAME --from PATH` of a name that nothing else has makes one. Its entry is kept in the built set's
meta.json under "own", so the name is known to everyone who uses that cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import paths
from bench.data.catalogue import DatasetEntry
from bench.errors import UserError, did_you_mean

NAME = r"[a-z0-9][a-z0-9-]*"
TARGET = "own:"  # how the registry says that a name is one of these
TEST_SHARE = 0.2  # of the pictures, where the user names no share
# How pictures become squares, and the options of an entry that say so; "clean" and "centre" are one.
FITS: dict[str, dict[str, str]] = {
    "clean": {"crop": "center"},
    "centre": {"crop": "center"},
    "stretch": {"fit": "stretch"},
    "center-crop": {"fit": "center-crop"},
}


@dataclass(frozen=True)
class Wishes:
    """What a user may ask of a set of their own; None for the default."""

    test_share: float | None = None
    fit: str | None = None  # a key of FITS
    shots: int | None = None
    ignore_near_copies: bool = False


def new_entry(name: str, known: list[str], wishes: Wishes | None = None) -> DatasetEntry:
    """The entry of a set that is about to be built; its counts are the least until then.

    Raises UserError for a name that is not fit for a folder, or so near a known one that it is a slip.
    """
    wishes = wishes or Wishes()
    if not re.fullmatch(NAME, name):
        raise UserError(f"data set '{name}': a name is lower-case letters, digits and hyphens")
    slip = did_you_mean(name, known)
    if slip.startswith("did you mean") and _alike(name, slip):
        raise UserError(f"unknown data set '{name}'; {slip} A set of your own needs a name less like that of another")
    if wishes.fit not in (None, *FITS):
        raise UserError(f"data set '{name}': fit '{wishes.fit}' is unknown; known are {', '.join(FITS)}")
    return DatasetEntry(
        summary="pictures of your own",
        builder="bench.datasets.pictures:build",
        licence="yours to know",
        source="pictures of your own",
        embedded=False,
        train=1,
        test=1,
        options={
            **FITS[wishes.fit or "clean"],
            "test_share": TEST_SHARE if wishes.test_share is None else wishes.test_share,
            "near_duplicates": "ignore" if wishes.ignore_near_copies else "together",
        },
        shots=wishes.shots,
    )


def counted(name: str, entry: DatasetEntry, train: int, test: int) -> DatasetEntry:
    """The entry of a built set, with the images that it has. UserError for more shots than it has for training."""
    if entry.shots is not None and entry.shots > train:
        raise UserError(
            f"data set '{name}': --shots {entry.shots:,} of {train:,} training images; choose at most those"
        )
    return entry.model_copy(update={"train": train, "test": test})


def entry_of(folder: Path) -> DatasetEntry | None:
    """The entry of a built set of the user's own; None for any other folder."""
    try:
        own: Any = json.loads((folder / "meta.json").read_text()).get("own")
        return DatasetEntry.model_validate(own) if own is not None else None
    except (OSError, ValueError, AttributeError, ValidationError):
        return None


def own_sets() -> Iterator[tuple[str, DatasetEntry]]:
    """Every set of the user's own in the cache, by name, one entry for each; resolutions may differ in counts."""
    root = paths.cache_root() / "data"
    seen = set()
    for folder in sorted(root.glob("[!.]*")) if root.is_dir() else ():
        name = folder.name.rpartition("-")[0]
        if name not in seen and (entry := entry_of(folder)) is not None:
            seen.add(name)
            yield name, entry


def _alike(name: str, slip: str) -> bool:
    """Whether a name is so near the suggested one that it is probably a typing mistake."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, name, slip.split("'")[1]).ratio() > 0.85  # one wrong letter in seven gives 0.857
