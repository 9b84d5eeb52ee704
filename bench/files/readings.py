"""The weights that the current run has read: every reader of weights notes them here.

Which weights a method takes (a prior, a perceptual loss) shows only when it takes them. So the readers note them, and
the current run listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LISTENERS: list[Callable[[str, str], None]] = []


def note(name: str, digest: str) -> None:
    """Say that the input `name` (for example "extractor/vgg16") with this digest has been read."""
    for tell in _LISTENERS:
        tell(name, digest)


@contextmanager
def listening(tell: Callable[[str, str], None]) -> Iterator[None]:
    """Inside, `tell(name, digest)` is called for everything that is noted."""
    _LISTENERS.append(tell)
    try:
        yield
    finally:
        _LISTENERS.remove(tell)
