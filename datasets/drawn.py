"""Drawn sets: avatars of DiceBear, restricted to a subject, with classes and attributes that are known exactly.

A catalogue entry says what is drawn: see common/drawn_options.py. The first pictures are the same however many are
drawn, so that NAME@N (bench.data.smaller_sets) is the beginning of NAME.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.data.builder import Order, Splits
from bench.data.coarse import NOTE
from bench.data.smaller_sets import whole_name

from .common import drawn_attributes
from .common.avatar_style import PACKAGES
from .common.distinct import fill
from .common.drawn_options import Subject, drawn_options, subjects
from .common.slots import SPLITS, Slot, Split, slots


def build(order: Order) -> Splits:
    """`entry.train` and `entry.test` avatars, all distinct, in random order; classes balanced in every prefix.

    Raises UserError for options that cannot be drawn, and where there are not enough distinct pictures.
    """
    drawer = Drawer(order)
    where = slots(drawer.name, order.entry.train, order.entry.test, len(drawer.subjects))
    filled = fill(order, where, drawer.svg)
    labelled = len(drawer.subjects) > 1
    attributes = drawer.attributes(where, filled.attempts)
    return Splits(
        train=filled.images["train"],
        test=filled.images["test"],
        train_labels=filled.labels["train"] if labelled else None,
        test_labels=filled.labels["test"] if labelled else None,
        class_names=tuple(subject.name for subject in drawer.subjects) if labelled else (),
        train_attributes=attributes.get("train"),
        test_attributes=attributes.get("test"),
        attribute_names=drawn_attributes.names(drawer.options),
        licence_text=drawer.licence_text(),
        packages=PACKAGES,
        notes=drawer.notes(),
    )


class Drawer:
    """Draws the picture of each slot of a drawn set."""

    def __init__(self, order: Order) -> None:
        self.owner = f"data set '{order.name}'"
        self.name = whole_name(order.name)
        self.options = drawn_options(order)
        self.subjects = subjects(self.owner, self.options)
        self.kinds = drawn_attributes.kinds(self.options, self.subjects[0].style, self.owner)
        self._flags = {
            split: drawn_attributes.flags(self.name, split, getattr(order.entry, split), self.options)
            for split in SPLITS
        }

    def svg(self, slot: Slot, attempt: int) -> str:
        """The avatar of the seed string "SET-SPLIT-NUMBER", or of a later attempt."""
        return self._subject(slot).style.svg(*self._recipe(slot, attempt))

    def attributes(self, slots: list[Slot], attempts: dict[Split, np.ndarray]) -> dict[Split, np.ndarray]:
        """(N, A) uint8 by split, as they were drawn; nothing for a set without attributes."""
        columns = len(drawn_attributes.names(self.options))
        if not columns:
            return {}
        found = {split: np.zeros((len(numbers), columns), np.uint8) for split, numbers in attempts.items()}
        for slot in slots:
            style = self._subject(slot).style
            resolved = style.resolved(*self._recipe(slot, int(attempts[slot.split][slot.number])))
            found[slot.split][slot.number] = drawn_attributes.read(self.options, style, resolved, self.owner)
        return found

    def licence_text(self) -> str:
        """The licence of each style."""
        styles = {subject.style.name: subject.style for subject in self.subjects}
        return "\n\n".join(f"Style {name}: {style.licence_text}" for name, style in styles.items())

    def notes(self) -> dict[str, Any]:
        """What stands in meta.json of classes and attributes."""
        notes: dict[str, Any] = {}
        if any(subject.coarse for subject in self.subjects):
            notes[NOTE] = {subject.name: subject.coarse for subject in self.subjects}
        if self.options.kinds:
            notes["attribute kinds"] = self.kinds
        if agreement := self.options.agreement:
            notes["planted correlation"] = {"of": list(agreement.of), "phi": 2 * agreement.share - 1}
        return notes

    def _subject(self, slot: Slot) -> Subject:
        return self.subjects[slot.label]

    def _recipe(self, slot: Slot, attempt: int) -> tuple[str, dict[str, Any]]:
        """The seed string and the options of a picture."""
        seed = f"{self.name}-{slot.split}-{slot.number}" + (f"-{attempt}" if attempt else "")
        wanted = self._flags[slot.split][slot.number]
        return seed, {**self._subject(slot).fixed, **drawn_attributes.options_of(self.options, wanted)}
