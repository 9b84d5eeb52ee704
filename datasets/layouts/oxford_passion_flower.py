"""The passion flowers of Oxford's 102 flowers, class 77: out of the whole release, or in a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source

from . import oxford_102
from .arrangement import Arranged

PASSION_FLOWER = 77


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """The pictures of class 77, without labels."""
    return oxford_102.arrange(source, items, {**options, "classes": [PASSION_FLOWER]})
