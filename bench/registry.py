"""Tables of names whose values are imported on first use: listing a registry imports nothing.

A registry knows nothing of what it holds. Methods are found by bench.contract.discovery, data sets by
bench.data.known, a user's own file by bench.plugins; networks, extractors and checkpoint formats are tables where
they are implemented.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from types import ModuleType
from typing import Any

from bench.errors import UserError, did_you_mean

BROKEN: list[str] = []  # why plug-ins could not be loaded; an unknown name may be unknown for that


@dataclass(frozen=True)
class Entry:
    """A registered name and where it comes from: "module:attr", or "module", of which the registry picks a value."""

    name: str
    target: str
    told: str | Callable[[], str]  # the summary, or how to find it where that means reading a file
    yields: bool = False  # whether another registration of the name may take its place

    @property
    def summary(self) -> str:
        """One line on what it is."""
        return self.told if isinstance(self.told, str) else self.told()


class Registry:
    """A table of lazily imported things of one kind.

    hint: advice after an unknown name, with "{name}" in its place.
    pick: takes a module whose target names no attribute, and returns the value.
    """

    def __init__(self, kind: str, hint: str = "", pick: Callable[[ModuleType], Any] | None = None) -> None:
        self.kind = kind
        self._hint = hint
        self._pick = pick
        self._entries: dict[str, Entry] = {}
        self._values: dict[str, Any] = {}

    def add(
        self,
        name: str,
        target: str,
        summary: str | Callable[[], str],
        value: Any = None,
        *,
        yields: bool = False,
    ) -> None:
        """Register `name`; UserError if another target has that name.

        summary: one line, or a function that finds it when it is asked for. value: given where it needs no import.
        """
        taken = self._entries.get(name)
        if taken and taken.target != target and not taken.yields:
            raise UserError(f"{self.kind} '{name}' is registered twice: {taken.target} and {target}")
        self._entries[name] = Entry(name, target, summary, yields)
        self._values.pop(name, None)
        if value is not None:
            self._values[name] = value

    def add_entry_points(self, group: str) -> None:
        """Register what installed packages offer in a group of entry points."""
        for point in _installed(tuple(sys.path)).select(group=group):
            package = point.dist.name if point.dist else "?"
            self.add(point.name, point.value, f"from the package {package}")

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries[name] for name in sorted(self._entries))

    def entry(self, name: str) -> Entry:
        """The entry of `name`; raises UserError with the nearest known name."""
        if name not in self._entries:
            if BROKEN:
                raise UserError(f"{self.kind} '{name}' is not there: {'; '.join(BROKEN)}")
            hint = self._hint.format(name=name)
            raise UserError(f"unknown {self.kind} '{name}'; {did_you_mean(name, self._entries)}{hint}")
        return self._entries[name]

    def load(self, name: str) -> Any:
        """Import and return the value of `name`. Raises UserError that names a module which cannot be imported."""
        entry = self.entry(name)
        if name not in self._values:
            self._values[name] = self._imported(entry)
        return self._values[name]

    def _imported(self, entry: Entry) -> Any:
        module_name, _, attribute = entry.target.partition(":")
        try:
            module = importlib.import_module(module_name)
            if attribute or self._pick is None:
                return getattr(module, attribute)
            return self._pick(module)
        except UserError:
            raise
        except Exception as error:  # somebody else's module may raise anything; the message names it
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{self.kind} '{entry.name}' ({module_name}) cannot be imported: {reason}") from error

    @contextmanager
    def override(self, name: str, value: Any, summary: str = "") -> Iterator[None]:
        """Within the block, `name` stands for `value`, whether it was known before or not."""
        entries, values = dict(self._entries), dict(self._values)
        target = entries[name].target if name in entries else f"override:{name}"
        self._entries[name] = Entry(name, target, summary or (entries[name].told if name in entries else ""))
        self._values[name] = value
        try:
            yield
        finally:
            self._entries, self._values = entries, values


@cache
def _installed(paths: tuple[str, ...]) -> EntryPoints:
    """All entry points of the packages on the path. Each look reads the metadata of every package, so one does."""
    return entry_points()  # type: ignore[return-value]  # a union for Python 3.9
