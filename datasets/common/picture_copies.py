"""Copies among pictures: of their bytes, of their pixels, and near ones; which count, and on which side they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.data.builder import Order
from bench.data.duplicates import near_duplicates
from bench.data.marks import Mark
from bench.data.picture_pile import Pile
from bench.data.sources.names import shown
from bench.data.sources.source import Item
from bench.errors import UserError
from bench.machine.workers import Workers

from ..splits import Divided, divide
from .picture_rows import Decoded

_UNKNOWN = Mark(b"", 0, 0, (0.0, 0.0, 0.0), 0.0)  # of a row that was not decoded


class Copies:
    """What is left out as a copy, by the option `duplicates`; the first of equal pictures by name counts.

    Copies are looked for within a split that the source has decided: one across two is for the user to mend.
    """

    def __init__(self, options: Mapping[str, Any], items: Mapping[str, Item]) -> None:
        self._rule = options.get("duplicates", "pixels")
        self._items = items
        self.left_out: Counter[str] = Counter()
        self.of: dict[str, list[str]] = {}  # the picture that counts -> its copies

    def without_equal_bytes(self, pile: Pile, workers: Workers, what: str) -> list[str]:
        """The pile's pictures, without later copies of the same file."""
        if self._rule == "keep":
            return list(pile.pictures)
        return self._first(pile.file_keys(workers, what), "copies of another")

    def without_equal_pixels(self, decoded: Decoded) -> list[str]:
        """The decoded pictures, without later ones of the same pixels."""
        if self._rule != "pixels":
            return list(decoded.marks)
        return self._first(
            {name: mark.digest for name, mark in decoded.marks.items()}, "with the same pixels as another"
        )

    def lines(self, groups: Iterable[Sequence[str]], pile: Pile) -> list[str]:
        """A line for each picture that has copies, and for each group of near copies."""
        exact = [f"  {pile.where(name)}: copies {_enumerated(names)}" for name, names in sorted(self.of.items())]
        near = [f"  {pile.where(group[0])}: near copies {_enumerated(group[1:])}" for group in groups]
        return exact + near

    def _first(self, keys: Mapping[str, object], kind: str) -> list[str]:
        first: dict[object, str] = {}
        for name, key in keys.items():
            item = self._items[name]
            kept = first.setdefault((item.split, key), name)
            if kept != name:
                other = self._items[kept].label != item.label
                self.left_out[f"{kind}, in another class" if other else kind] += 1
                self.of.setdefault(kept, []).append(name)
        return list(first.values())


def divide_apart(
    order: Order, options: Mapping[str, Any], pictures: Sequence[Item], decoded: Decoded
) -> tuple[Divided[Item], list[list[str]]]:
    """The division of `pictures` by the entry's rule, and its groups of near copies, none of which is on both sides.

    Groups are looked for with the option `near_duplicates: together` alone. Raises UserError as
    `bench.datasets.splits.divide`, and where too few pictures are left to be tested on.
    """
    divided = divide(pictures, options, order.entry.train, order.entry.test, str(order.source))
    if options.get("near_duplicates") != "together" or divided.overlap:
        return divided, []
    groups = _near_groups(decoded, [item.name for item in pictures])
    drawn = options.get("split", "random") == "random" and not any(item.split for item in pictures)
    apart = keep_together(divided, groups) if drawn else without_near(divided, groups)
    if len(apart.test) < order.entry.test:
        raise UserError(
            f"{order.source}: {len(apart.test):,} pictures for the test split are no near copies of pictures for "
            f"training, {order.entry.test:,} are needed; {sum(map(len, groups)):,} of {len(pictures):,} pictures are "
            f"near copies of another, such as {_enumerated(groups[0], 2)}"
        )
    return apart, groups


def _near_groups(decoded: Decoded, names: Sequence[str]) -> list[list[str]]:
    """Groups of pictures that are copies of one another but for their encoding, size, colours or margins; by name."""
    name_of = {decoded.rows[name]: name for name in names}
    marked = [decoded.marks.get(name, _UNKNOWN) for name in decoded.rows]
    groups = near_duplicates(decoded.array, marked=marked)
    among = ([name_of[row] for row in group if row in name_of] for group in groups)
    return [group for group in among if len(group) > 1]


def keep_together(divided: Divided[Item], groups: Sequence[Sequence[str]]) -> Divided[Item]:
    """A random division in which no group stands on both sides.

    Whole groups are taken for the test split, in the random order, for as long as they fit. Without groups nothing
    changes.
    """
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    pool, wanted = [*divided.test, *divided.train], len(divided.test)  # the order that was drawn
    sizes, taken = [len(group) for group in groups], 0
    chosen: set[int] = set()
    refused: set[int] = set()
    test: list[Item] = []
    train: list[Item] = []
    for item in pool:
        group = group_of.get(item.name)
        if group is None:
            fits, cost = taken < wanted, 1
        elif group in chosen or group in refused:
            fits, cost = group in chosen, 0
        else:
            fits, cost = taken + sizes[group] <= wanted, sizes[group]
            (chosen if fits else refused).add(group)
        taken += cost if fits else 0
        (test if fits else train).append(item)
    return replace(divided, train=train, test=test)


def without_near(divided: Divided[Item], groups: Sequence[Sequence[str]]) -> Divided[Item]:
    """A division that was decided elsewhere, without those test pictures that are copies of training pictures."""
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    trained = {group_of.get(item.name) for item in divided.train} - {None}
    return replace(divided, test=[item for item in divided.test if group_of.get(item.name) not in trained])


def refuse_shared(divided: Divided[Item], decoded: Decoded, pile: Pile) -> None:
    """UserError naming all test pictures whose pixels are those of a training picture."""
    trained = {decoded.marks[item.name].digest: item.name for item in divided.train}
    shared = [
        f"{pile.where(item.name)}: is the same picture as the training image {pile.where(trained[digest])}"
        for item in divided.test
        if (digest := decoded.marks[item.name].digest) in trained
    ]
    if len(shared) == 1:
        raise UserError(f"{shared[0]}; remove one")
    if shared:
        head = f"{pile.source.path}: {len(shared):,} pictures are both in train and in test; remove one of each:"
        raise UserError(head, [f"  {line}" for line in sorted(shared)])


def _enumerated(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(map(shown, names[:most]))}{more}"
