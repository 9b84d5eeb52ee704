"""The items of a source with every one accounted for: as a picture, as a bad one, or as something else.

An item is a row of a table (bench.data.sources.item_table), and what is known of it a row of an array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

from bench.data.decoding import BAD, LARGE, LOOKS, PICTURE, Decoded, DecodeInto, Digest, LookAt, rows_of
from bench.data.picture import SUFFIXES, Fit
from bench.data.sources.item_table import ItemTable, Names
from bench.data.sources.names import shown, suffix
from bench.data.sources.source import Source
from bench.errors import UserError
from bench.machine.workers import Workers

MOST_KINDS = 20  # that a line names: files numbered by their suffix are as many kinds as files


@dataclass
class Pile:
    """The items of a source. `bad`: name -> reason; `left_out`: what else was not taken, counted by kind."""

    source: Source
    items: ItemTable
    looks: np.ndarray  # (N,) LOOKS: of kind PICTURE are those that may still be used
    bad: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    animated: int = 0

    def pictures(self) -> np.ndarray:
        """The rows (n,) of all pictures that may be used, ascending."""
        return np.flatnonzero(self.looks["kind"] == PICTURE)

    def reject(self, row: int, reason: str) -> None:
        """Move a picture to the bad ones."""
        self.looks["kind"][row] = BAD
        self.bad[self.items.names[row]] = reason

    def size_text(self, row: int) -> str:
        """A picture's size, for example "20 x 30 pixels"."""
        return f"{self.looks['width'][row]} x {self.looks['height'][row]} pixels"

    def told(self) -> str:
        """What was left out, and how many animations gave only their first picture; empty if nothing was."""
        counts = [(kind, count) for kind, count in self.left_out.items() if count]
        counts.sort(key=lambda entry: (entry[0].startswith("."), -entry[1], entry[0]))  # suffixes last
        kinds = [f"{count:,} {kind}" for kind, count in sorted(counts[:MOST_KINDS])]
        if others := counts[MOST_KINDS:]:
            kinds.append(f"{sum(count for _, count in others):,} of {len(others):,} other kinds")
        kinds += [f"{len(self.bad):,} bad"] if self.bad else []
        parts = [f"left out: {', '.join(kinds)}"] if kinds else []
        parts += [f"{self.animated:,} animated, the first picture of each"] if self.animated else []
        return "; ".join(parts)

    def bad_lines(self) -> list[str]:
        """Every bad file with its reason: all of them, so that one look is enough to mend a folder."""
        return [f"  {self.where(name)}: {reason}" for name, reason in sorted(self.bad.items())]

    def where(self, name: str) -> str:
        """How messages call an item."""
        return shown(f"{self.source.path}/{name}")

    def decode(
        self,
        array: np.memmap,
        places: Places,
        workers: Workers,
        what: str,
        fit: Fit = "centre",
        near: bool | None = None,
        noted: Callable[[np.ndarray, Decoded], None] = lambda rows, decoded: None,
    ) -> None:
        """Decode pictures into rows of an array on disk (N, R, R, 3).

        Those that cannot be decoded are rejected, all of them, so that one message can name them. what: the data set,
        for the progress; "" prints none. near: which marks are made (bench.data.decoding.DecodeInto). noted: is given
        rows of the array and what became of them.
        """
        job = DecodeInto(self.source, rows_of(array), fit, near)
        unit = self.source.units()
        of_place = (lambda place: unit(place[1])) if unit else None
        for start, decoded in workers.chunks(job, places, what and f"{what}, pictures", of_place):
            for place, reason in decoded.reasons.items():
                self.reject(int(places.items[start + place]), reason)
            noted(places.rows[start : start + len(decoded.done)], decoded)

    def file_keys(self, workers: Workers, what: str) -> np.ndarray:
        """A number (n,) for each picture, which only copies of one file share; of these the row of the first.

        Only files of equal size and ends are read for that.
        """
        pictures = self.pictures()
        keys = pictures.copy()
        looks = self.looks[pictures]
        outlines = looks["bytes"].astype(np.uint64) << np.uint64(32) | looks["sum"]  # at most 2**29 bytes
        _, which, counts = np.unique(outlines, return_inverse=True, return_counts=True)
        alike = np.flatnonzero(counts[which] > 1)
        digests = np.zeros(len(alike), "S64")
        names = Names(self.items, pictures[alike])
        for start, part in workers.chunks(Digest(self.source), names, f"{what}, copies", self.source.units()):
            digests[start : start + len(part)] = part
        readable = alike[digests != b""]
        _, first, which = np.unique(digests[digests != b""], return_index=True, return_inverse=True)
        keys[readable] = pictures[readable[first]][which]
        return keys


class Places(Sequence[tuple[int, str]]):
    """Items to be decoded, by their rows in a table, and the rows of an array that they go to: (row, name) of each."""

    def __init__(self, table: ItemTable, items: np.ndarray, rows: np.ndarray) -> None:
        self.items, self.rows, self._names = items, rows, Names(table, items)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int) -> tuple[int, str]: ...
    @overload
    def __getitem__(self, key: slice) -> list[tuple[int, str]]: ...
    def __getitem__(self, key: int | slice) -> tuple[int, str] | list[tuple[int, str]]:
        if isinstance(key, slice):
            return list(zip(self.rows[key].tolist(), self._names[key], strict=True))
        return int(self.rows[key]), self._names[key]


def look_through(source: Source, items: ItemTable, workers: Workers, what: str) -> Pile:
    """These items of a source, each looked at by its content. what: the data set, for the progress."""
    pile = Pile(source, items, np.zeros(len(items), LOOKS))
    reasons: dict[int, str] = {}
    for start, (looks, why) in workers.chunks(LookAt(source), items.names, f"{what}, headers", source.units()):
        pile.looks[start : start + len(looks)] = looks
        for place, reason in why.items():
            kind, ending = looks["kind"][place], _ending(items.names[start + place])
            if kind == BAD or ending in SUFFIXES or (kind == LARGE and not ending):
                reasons[start + place] = reason
            else:
                pile.left_out[shown(ending) or "without a suffix"] += 1
    pile.bad = {items.names[row]: reasons[row] for row in sorted(reasons)}
    return pile


def _ending(name: str) -> str:
    """The suffix of a file's name; empty for a row of a file, such as "a.parquet#00000001"."""
    ending = suffix(name)
    return "" if "#" in ending else ending


class BadPicturesError(UserError):
    """Pictures that cannot be used, more than are allowed."""


def refuse_bad(pile: Pile, remedy: str, use: str = "", allowed: int = 0) -> None:
    """BadPicturesError that lists all bad files, where more are than allowed. use: what for ("for 'faces'")."""
    if len(pile.bad) <= allowed:
        return
    every = len(pile.bad) + len(pile.pictures())
    head = f"{pile.source.path}: {len(pile.bad):,} of {every:,} pictures cannot be used{use and ' '}{use}"
    raise BadPicturesError(f"{head} ({remedy}):", pile.bad_lines())
