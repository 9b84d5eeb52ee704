"""Oxford's 17 flowers: jpg/image_0001.jpg to image_1360.jpg, 80 of each class one after the other.

The names have four digits; those of the 102 flowers have five, so one release is never taken for the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .file_names import by_number

PICTURE = r"image_(\d{4})\.jpg"


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """Every picture, without labels. UserError for a gap in the numbers."""
    pictures = by_number(source.path, items, PICTURE)
    gaps = sorted(set(range(1, max(pictures, default=0) + 1)) - pictures.keys())
    if gaps:
        raise UserError(f"{source.path}: {len(gaps):,} pictures are missing, such as image_{gaps[0]:04}.jpg")
    return Arranged(tuple(pictures.values()), left_out=Counter({"side files": len(items) - len(pictures)}))
