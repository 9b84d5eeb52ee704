"""What the run at work has read: whoever reads weights notes it here, whoever called for them.

Only the run knows which weights its method takes (a prior, a perceptual loss), and only when it takes them; so
the readers speak, and the run that is at work listens.
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
