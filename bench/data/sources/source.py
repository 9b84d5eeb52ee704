"""The interface of a container of pictures: what it holds, by name, and one of them at a time.

A source knows its container alone: what a file name or a side file means is the business of a layout. Names are
relative, with forward slashes, unique, and safe: a source never offers a name that leads out of its container.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np


class BadItemError(Exception):
    """An item that cannot be read; the message is the reason, without the item's name."""


class TooLargeError(BadItemError):
    """An item of more bytes than are read."""


_NONE: Mapping[str, bool] = {}  # shared by all items without attributes: a set may have millions


@dataclass(frozen=True, slots=True)
class Item:
    """One file or record of a container, before anyone has looked at its pixels."""

    name: str  # what messages name and what orders the set
    label: str | None = None  # the class, as its publisher calls it
    split: str | None = None  # "train" or "test" where the publisher has decided
    attributes: Mapping[str, bool] = field(default_factory=lambda: _NONE)  # beside the class: "glasses" -> True


class Source(ABC):
    """A container of pictures.

    It can be pickled: worker processes read from it, so handles are opened at first use in each of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # What is never offered as an item, by kind ("hidden", "links", "devices"), so that a build can count all of it.
        self.left_out: Counter[str] = Counter()
        # A folder for what must be unpacked before it can be read in any order; `open_source` names it.
        self.scratch: Path | None = None

    @abstractmethod
    def items(self) -> Iterable[Item]:
        """Every item, pictures and side files alike, sorted by name; fills `left_out`. UserError for a damaged one."""

    @abstractmethod
    def read(self, name: str, most: int | None = None) -> bytes | np.ndarray:
        """An item's file, or its pixels (H, W, 3) uint8 where the container holds arrays.

        most: the largest size in bytes that is read. Raises BadItemError for a damaged item and for one that is
        larger, before it is in memory.
        """

    def open(self, name: str, most: int | None = None) -> BinaryIO | np.ndarray:
        """As `read`, but a file may come as one that is open: its header is then read without the rest of it."""
        content = self.read(name, most)
        return io.BytesIO(content) if isinstance(content, bytes) else content

    def units(self) -> Callable[[str], Hashable] | None:
        """Name -> what must be read to have that item, where that is more: one process should read all of it, in order.

        None where each item can be read by itself.
        """
        return None


def too_large(size: int, most: int) -> TooLargeError:
    """The error for an item of more bytes than are read."""
    return TooLargeError(f"{size:,} bytes; at most {most:,} are read")
