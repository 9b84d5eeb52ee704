"""The order of classes, which decides the number of a label: by value where all are numbers, else by name."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 18  # digits of a number


def in_order(labels: Iterable[str | None]) -> tuple[str, ...]:
    """The different classes among `labels`: "1", "2", "10", or "1", "10", "2", "a". No class is None or empty."""
    names = {label for label in labels if label}
    numbers = all(name.isascii() and name.isdecimal() and len(name) <= LONGEST for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))
