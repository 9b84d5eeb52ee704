"""Copies among pictures: of their bytes, of their pixels, and near ones; which count, and on which side they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.data.builder import Order
from bench.data.duplicates import near_duplicates
from bench.data.picture_pile import Pile
from bench.data.sources.item_table import Chosen, ItemTable
from bench.data.sources.names import shown
from bench.errors import UserError
from bench.machine.workers import Workers

from ..splits import Divided, divide
from .picture_options import are_near_copies_apart
from .picture_rows import Decoded


class Copies:
    """What is left out as a copy, by the option `duplicates`; the first of equal pictures by name counts.

    Copies are looked for within a split that the source has decided: one across two is for the user to mend.
    """

    def __init__(self, options: Mapping[str, Any], items: ItemTable) -> None:
        self._rule = options.get("duplicates", "pixels")
        self._items = items
        self.left_out: Counter[str] = Counter()
        self.of: dict[str, list[str]] = {}  # the picture that counts -> its copies

    def without_equal_bytes(self, pile: Pile, workers: Workers, what: str) -> np.ndarray:
        """The rows of the pile's pictures, without later copies of the same file."""
        if self._rule == "keep":
            return pile.pictures()
        return self._first(pile.pictures(), pile.file_keys(workers, what), "copies of another")

    def without_equal_pixels(self, decoded: Decoded) -> np.ndarray:
        """The rows of the decoded pictures, without later ones of the same pixels."""
        rows = decoded.items[decoded.done]
        if self._rule != "pixels":
            return rows
        _, keys = np.unique(decoded.marks["digest"][decoded.done], return_inverse=True)
        return self._first(rows, keys, "with the same pixels as another")

    def lines(self, groups: Iterable[Sequence[str]], pile: Pile) -> list[str]:
        """A line for each picture that has copies, and for each group of near copies."""
        exact = [f"  {pile.where(name)}: copies {_enumerated(names)}" for name, names in sorted(self.of.items())]
        near = [f"  {pile.where(group[0])}: near copies {_enumerated(group[1:])}" for group in groups]
        return exact + near

    def _first(self, rows: np.ndarray, keys: np.ndarray, kind: str) -> np.ndarray:
        """Of the rows, which are ascending, those that are the first of their key and split. The others are counted."""
        splits = self._items.splits()[0][rows]
        both = keys.astype(np.int64) * (int(splits.max(initial=0)) + 1) + splits
        _, first, which = np.unique(both, return_index=True, return_inverse=True)
        kept_N = first[which]
        labels = self._items.labels()[0]
        for place in np.flatnonzero(kept_N != np.arange(len(rows))).tolist():
            row, kept = rows[place], rows[kept_N[place]]
            self.left_out[f"{kind}, in another class" if labels[row] != labels[kept] else kind] += 1
            self.of.setdefault(self._items.names[kept], []).append(self._items.names[row])
        return rows[np.sort(first)]


def divide_apart(
    order: Order, options: Mapping[str, Any], pictures: Chosen, decoded: Decoded
) -> tuple[Divided, list[list[str]]]:
    """The division of `pictures` by the entry's rule, and its groups of near copies, none of which is on both sides.

    Groups are looked for with the option `near_duplicates: together` alone. Raises UserError as
    `bench.datasets.splits.divide`, and where too few pictures are left to be tested on.
    """
    divided = divide(pictures, options, order.entry.train, order.entry.test, str(order.source))
    if not are_near_copies_apart(options):
        return divided, []

    # The groups, as places among the pictures.
    groups = _near_groups(decoded, pictures.rows)
    group_of = np.full(len(pictures), -1)
    for number, group in enumerate(groups):
        group_of[group] = number

    # A division that was drawn is drawn anew; of one that was given, test pictures are left out.
    codes, splits = pictures.table.splits()
    given = any(splits[code] for code in np.unique(codes[pictures.rows]))
    drawn = options.get("split", "random") == "random" and not given
    apart = keep_together(divided, group_of) if drawn else without_near(divided, group_of)
    names = [[pictures[place].name for place in group] for group in groups]
    if len(apart.test) < order.entry.test:
        raise UserError(
            f"{order.source}: {len(apart.test):,} pictures for the test split are no near copies of pictures for "
            f"training, {order.entry.test:,} are needed; {sum(map(len, groups)):,} of {len(pictures):,} pictures are "
            f"near copies of another, such as {_enumerated(names[0], 2)}; --ignore-near-copies takes them all"
        )
    return apart, names


def _near_groups(decoded: Decoded, rows: np.ndarray) -> list[list[int]]:
    """Groups of pictures that are copies of one another but for their encoding, size, colours or margins.

    rows: of the pictures in the table, ascending. The groups are of places among these.
    """
    place_of = np.full(len(decoded.items), -1)
    place_of[decoded.places(rows)] = np.arange(len(rows))
    groups = near_duplicates(decoded.array, marked=decoded.marks)
    among = ([int(place_of[row]) for row in group if place_of[row] >= 0] for group in groups)
    return [group for group in among if len(group) > 1]


def keep_together(divided: Divided, group_of: np.ndarray) -> Divided:
    """A random division in which no group stands on both sides. group_of: the group (N,) of each picture, or -1.

    Whole groups are taken for the test split, in the random order, for as long as they fit. Without groups nothing
    changes.
    """
    pool, wanted = np.concatenate([divided.test, divided.train]), len(divided.test)  # the order that was drawn
    sizes = np.bincount(group_of[group_of >= 0]).tolist()
    taken = 0
    fits_group: dict[int, bool] = {}
    in_test = np.zeros(len(pool), bool)
    for place, group in enumerate(group_of[pool].tolist()):
        if group < 0:
            fits, cost = taken < wanted, 1
        elif group in fits_group:
            fits, cost = fits_group[group], 0
        else:
            fits, cost = taken + sizes[group] <= wanted, sizes[group]
            fits_group[group] = fits
        taken += cost if fits else 0
        in_test[place] = fits
    return replace(divided, train=pool[~in_test], test=pool[in_test])


def without_near(divided: Divided, group_of: np.ndarray) -> Divided:
    """A division that was decided elsewhere, without those test pictures that are copies of training pictures."""
    of_test = group_of[divided.test]
    copies = (of_test >= 0) & np.isin(of_test, group_of[divided.train])
    return replace(divided, test=divided.test[~copies])


def refuse_shared(divided: Divided, pictures: Chosen, decoded: Decoded, pile: Pile) -> None:
    """UserError naming all test pictures whose pixels are those of a training picture."""
    train, test = (pictures.rows[part] for part in (divided.train, divided.test))
    digests = decoded.marks["digest"]
    of_train, of_test = digests[decoded.places(train)], digests[decoded.places(test)]
    met = np.flatnonzero(np.isin(of_test, of_train))
    if not len(met):
        return
    names = pile.items.names
    trained = {of_train[place]: names[train[place]] for place in np.flatnonzero(np.isin(of_train, of_test[met]))}
    shared = [
        f"{pile.where(names[test[place]])}: is the same picture as the training image "
        f"{pile.where(trained[of_test[place]])}"
        for place in met
    ]
    if len(shared) == 1:
        raise UserError(f"{shared[0]}; remove one")
    head = f"{pile.source.path}: {len(shared):,} pictures are both in train and in test; remove one of each:"
    raise UserError(head, [f"  {line}" for line in sorted(shared)])


def _enumerated(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(map(shown, names[:most]))}{more}"
