"""Pictures in one folder, whatever it is called: the few-shot sets of DiffAugment and FastGAN, and folders like them.

FastGAN's archive holds a folder for each of its sets. The option `within` names the folder of this set, in every
spelling that is in use; where none of them is there, all pictures must lie in one folder, so that a set is never made
of its neighbours. Only names are looked at: pictures are what is called so, or everything if nothing is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import below, folders

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every file of the one folder. UserError where it cannot be told which folder is meant."""
    named = below(items, options.get("within", ()))
    if named:
        return Arranged(tuple(named), left_out=Counter({"in folders of other sets": len(items) - len(named)}))
    called = [item for item in items if item.name.lower().endswith(SUFFIXES)] or items
    places = sorted({"/".join(folders(item)) for item in called})
    if len(places) > 1:
        absent = f", none of which is called {' or '.join(options['within'])}" if "within" in options else ""
        raise UserError(
            f"{source.path}: has pictures in {len(places)} folders, such as {places[0] or '.'} and {places[1]}"
            f"{absent}; give the folder that holds the set"
        )
    taken = tuple(item for item in items if "/".join(folders(item)) in places)
    return Arranged(taken, left_out=Counter({"beside the pictures' folder": len(items) - len(taken)}))
