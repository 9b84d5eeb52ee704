"""The items of a source with every one accounted for: as a picture, as a bad one, or as something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import PurePosixPath

import numpy as np

from bench.data.decoding import DecodeInto, Digest, LookAt, MarkRows, rows_of
from bench.data.marks import Mark
from bench.data.picture import SUFFIXES, Fit, Header
from bench.data.sources.names import shown
from bench.data.sources.source import Source
from bench.errors import UserError
from bench.files.memory_map import PART, ROWS
from bench.machine.workers import Workers

MOST_KINDS = 20  # that a line names: files numbered by their suffix are as many kinds as files


@dataclass
class Pile:
    """The items of a source. `bad`: name -> reason; `left_out`: what else was not taken, counted by kind."""

    source: Source
    pictures: dict[str, Header] = field(default_factory=dict)  # by name, in the order of the items
    outlines: dict[str, tuple[int, int]] = field(default_factory=dict)  # of each picture: bench.data.decoding.Look
    bad: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    animated: int = 0

    def reject(self, name: str, reason: str) -> None:
        """Move a picture to the bad ones."""
        self.pictures.pop(name, None)
        self.bad[name] = reason

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

    def decode(self, array: np.memmap, names: Sequence[str], workers: Workers, what: str, fit: Fit = "centre") -> None:
        """Decode pictures into the rows of an array on disk (N, R, R, 3).

        Those that cannot be decoded are rejected, all of them, so that one message can name them.
        """
        job = DecodeInto(self.source, *rows_of(array), array.shape[1], fit)
        reasons = workers.map(job, list(enumerate(names)), f"{what}, pictures")
        for name, reason in zip(names, reasons, strict=True):
            if reason is not None:
                self.reject(name, reason)

    def marks(self, array: np.memmap, names: Sequence[str], workers: Workers, what: str) -> dict[str, Mark]:
        """The marks by which copies are found, of each picture that `decode` has put into the rows of an array."""
        job = MarkRows(*rows_of(array), array.shape[1])
        together = max(1, min(ROWS, PART // (3 * array.shape[1] ** 2)))  # each worker has so many in memory
        spans = [(start, min(start + together, len(names))) for start in range(0, len(names), together)]
        marks = chain.from_iterable(workers.map(job, spans, f"{what}, looking for copies"))
        return {name: mark for name, mark in zip(names, marks, strict=True) if name in self.pictures}

    def file_keys(self, workers: Workers, what: str) -> dict[str, bytes | str]:
        """Each picture's name -> what only copies of its file share; only files of equal outline are read for that."""
        shared = Counter(self.outlines[name] for name in self.pictures)
        alike = [name for name in self.pictures if shared[self.outlines[name]] > 1]
        digests = dict(zip(alike, workers.map(Digest(self.source), alike, f"{what}, copies"), strict=True))
        return {name: digests.get(name) or name for name in self.pictures}


def look_through(source: Source, names: Sequence[str], workers: Workers, what: str) -> Pile:
    """These items of a source, each looked at by its content. what: the data set, for the progress."""
    pile = Pile(source)
    for name, look in zip(names, workers.map(LookAt(source), names, f"{what}, headers"), strict=True):
        suffix = _suffix(name)
        if look.header is not None:
            pile.pictures[name], pile.outlines[name] = look.header, look.outline
        elif look.kind == "bad" or suffix in SUFFIXES or (look.kind == "large" and not suffix):
            pile.bad[name] = look.reason
        else:
            pile.left_out[shown(suffix) or "without a suffix"] += 1
    return pile


def _suffix(name: str) -> str:
    """The suffix of a file's name; empty for a row of a file, such as "a.parquet#00000001"."""
    suffix = PurePosixPath(name).suffix.lower()
    return "" if "#" in suffix else suffix


def refuse_bad(pile: Pile, remedy: str, use: str = "", allowed: int = 0) -> None:
    """UserError that lists all bad files, where more are than allowed. use: what they are bad for ("for 'faces'")."""
    if len(pile.bad) <= allowed:
        return
    every = len(pile.bad) + len(pile.pictures)
    head = f"{pile.source.path}: {len(pile.bad):,} of {every:,} pictures cannot be used{use and ' '}{use}"
    raise UserError(f"{head} ({remedy}):", pile.bad_lines())
