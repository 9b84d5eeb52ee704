"""Decks of pictures that exist already, for sets that mix them with drawn ones: emoji by subject, digits by value.

What is for testing does not depend on how many pictures a set has, so that its beginning is the same at every count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .slots import Slot

TEST_SHARE = 0.25  # of a class; its train deck is the rest
Card = Path | np.ndarray  # the file of an SVG, or pixels


@dataclass(frozen=True, eq=False)
class Deck:
    """The pictures of one class, for training and for testing, in the order in which they are used."""

    name: str
    coarse: str
    train: Sequence[Card]
    test: Sequence[Card]

    def card(self, slot: Slot, attempt: int) -> Card | None:
        """The picture of a slot; a later attempt takes one from the end of the deck. None where the deck is used up."""
        cards = self.train if slot.split == "train" else self.test
        place = slot.rank if not attempt else len(cards) - attempt
        return cards[place] if 0 <= place < len(cards) else None


def dealt(name: str, coarse: str, families: Sequence[Sequence[Card]], stream: np.random.Generator) -> Deck:
    """A deck in random order; a family of near copies is never in both splits, and its second picture comes late.

    Families go to the test deck until it has its share; one that would be more than a twentieth of it stays in train.
    Each deck has one picture of every family first, then the second ones, and so on.
    """
    wanted = TEST_SHARE * sum(map(len, families))
    train: list[Sequence[Card]] = []
    test: list[Sequence[Card]] = []
    for place in stream.permutation(len(families)):
        family = families[place]
        fits = sum(map(len, test)) + len(family) <= wanted and len(family) <= max(1, wanted / 20)
        (test if fits else train).append(family)
    return Deck(name, coarse, _in_turns(train), _in_turns(test))


def _in_turns(families: Sequence[Sequence[Card]]) -> list[Card]:
    most = max(map(len, families), default=0)
    return [family[turn] for turn in range(most) for family in families if turn < len(family)]
