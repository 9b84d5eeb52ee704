"""How the pictures of a folder or release become training and test: the rules that a catalogue entry can name.

Options of an entry:

split: publisher     as the release says; the default where its layout knows a split for every picture
split: random        `test` pictures (or with `test_share: 0.1` that share) drawn by our seed; the default elsewhere
split: first         the first `test` pictures by name are the test split, all others are for training
split: last          the last `test` pictures by name are
split: per-class     by our seed, `per_class` training and `test_per_class` test pictures of every class; no others
reference: all       every picture is for training, and the same pictures are the reference

Whatever the rule, both splits come in random order, so that the first n of either are a fair sample of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bench.errors import UserError
from bench.seeds import numpy_stream

RULES = ("publisher", "random", "first", "last", "per-class")


class Divisible(Protocol):
    """What a rule asks of a picture; bench.data.sources.source.Item has it."""

    @property
    def name(self) -> str:
        """The picture's name."""
        ...

    @property
    def label(self) -> str | None:
        """Its class; None without one."""
        ...

    @property
    def split(self) -> str | None:
        """The split that its publisher put it in; None without one."""
        ...


@dataclass(frozen=True, eq=False)
class Divided:
    """The two splits as places among the pictures, each in random order, and how many pictures are in neither."""

    train: np.ndarray  # (N,) int64
    test: np.ndarray
    unused: int = 0
    overlap: bool = False  # the test split is the training split


def check_options(options: Mapping[str, Any], name: str) -> None:
    """UserError for a rule that there is not, or for one whose counts are missing or no counts."""
    rule, share = options.get("split"), options.get("test_share")
    if rule is not None and rule not in RULES:
        raise UserError(f"data set '{name}': split: {rule} is unknown; known are {', '.join(RULES)}")
    if options.get("reference") not in (None, "all"):
        raise UserError(f"data set '{name}': reference: {options['reference']} is unknown; known is all")
    if share is not None and not (isinstance(share, int | float) and 0 < share < 1):
        raise UserError(f"data set '{name}': test_share is {share}, must lie between 0 and 1")
    if share is not None and rule not in (None, "random"):
        raise UserError(f"data set '{name}': test_share goes with split: random, not with split: {rule}")
    for key in ("per_class", "test_per_class"):
        count = options.get(key)
        if (rule == "per-class") != (type(count) is int and count > 0):
            raise UserError(f"data set '{name}': {key} is {count}; split: per-class needs a count, others take none")


def divide(pictures: Sequence[Divisible], options: Mapping[str, Any], train: int, test: int, where: str) -> Divided:
    """The splits of `pictures`, which are sorted by name and different from each other.

    train, test: the least that the splits must hold. where: what messages name, the path that the user gave.
    Raises UserError for too few pictures, and where a publisher's split is asked for that the pictures lack.
    """
    everything = np.arange(len(pictures))
    rule = options.get("split") or ("publisher" if len(pictures) and all(one.split for one in pictures) else "random")
    if options.get("reference") == "all":
        everything = _shuffled(_enough(everything, max(train, test), where))
        return Divided(everything, everything, overlap=True)
    if rule == "publisher":
        return _as_published(pictures, train, test, where)
    if rule == "per-class":
        return _per_class(pictures, options["per_class"], options["test_per_class"], where)
    _enough(everything, train + test, where)
    if rule == "random":
        pool = _shuffled(everything)
        held = _held_out(len(pool), options.get("test_share"), train, test)
        return Divided(pool[held:], pool[:held])
    cut = test if rule == "first" else len(pictures) - test
    parts = _shuffled(everything[:cut]), _shuffled(everything[cut:])
    return Divided(*(parts if rule == "last" else parts[::-1]))


def refuse_few(found: int, options: Mapping[str, Any], train: int, test: int, where: str) -> None:
    """UserError where so many pictures are too few by any rule: said before they are decoded."""
    needed = max(train, test) if options.get("reference") == "all" else train + test
    if 0 < found < needed:
        raise UserError(f"{where}: {found:,} different pictures found, {needed:,} are needed")


def _as_published(pictures: Sequence[Divisible], train: int, test: int, where: str) -> Divided:
    splits = {"train": 1, "test": 2}
    codes = np.fromiter((splits.get(one.split or "", 0) for one in pictures), np.int8, len(pictures))
    if not codes.all():
        without = np.flatnonzero(codes == 0)
        raise UserError(
            f"{where}: {len(without):,} pictures are neither in train nor in test, such as {pictures[without[0]].name}"
        )
    parts = {split: np.flatnonzero(codes == code) for split, code in splits.items()}
    return Divided(
        _shuffled(_enough(parts["train"], train, f"{where}, train")),
        _shuffled(_enough(parts["test"], test, f"{where}, test")),
    )


def _per_class(pictures: Sequence[Divisible], train: int, test: int, where: str) -> Divided:
    """The same number of every class; a class does not change when another has a picture more."""
    labels: dict[str, int] = {}
    codes = np.fromiter((labels.setdefault(one.label or "", len(labels)) for one in pictures), np.int32, len(pictures))
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for label, code in sorted(labels.items()):
        members = np.flatnonzero(codes == code)
        pool = _shuffled(_enough(members, train + test, f"{where}, class {label or '(none)'}"), label)
        chosen[0].append(pool[:train])
        chosen[1].append(pool[train : train + test])
    parts = [np.concatenate([np.empty(0, np.int64), *some]) for some in chosen]
    return Divided(_shuffled(parts[0]), _shuffled(parts[1]), len(pictures) - sum(map(len, parts)))


def _held_out(found: int, share: float | None, train: int, test: int) -> int:
    """How many are the test split: `test`, or the share of what there is as far as both splits get their least."""
    return test if share is None else min(max(round(share * found), test), found - train)


def _shuffled(places: np.ndarray, *key: str) -> np.ndarray:
    return places[numpy_stream(0, "folder", "split", *key).permutation(len(places))]


def _enough(places: np.ndarray, needed: int, where: str) -> np.ndarray:
    if len(places) < needed:
        raise UserError(f"{where}: {len(places):,} different pictures found, {needed:,} are needed")
    return places
