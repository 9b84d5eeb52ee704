"""Pictures that are named by a number, in folders that say nothing: FFHQ's 00000/00000.png and folders like it.

The option `within` names the folder of this set where the container may hold the same pictures at several sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source

from .arrangement import Arranged
from .file_names import below, by_number

PICTURE = r"(\d+)\.(?:png|jpg|jpeg|webp)"


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """The numbered pictures in the order of their numbers. UserError for a number that is given twice."""
    named = below(items, options.get("within", ()))
    numbered = by_number(source.path, named or items, PICTURE)
    return Arranged(tuple(numbered.values()), left_out=Counter({"not numbered": len(items) - len(numbered)}))
