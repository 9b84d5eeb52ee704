"""Every known data set: the catalogue of datasets/, packages, plug-ins, the user's own, and smaller ones."""

from __future__ import annotations

from functools import cache
from typing import Any

from bench.data.catalogue import DatasetEntry, read_catalogue
from bench.data.own_sets import TARGET, own_sets
from bench.data.smaller_sets import is_smaller, smaller, whole_name
from bench.errors import UserError
from bench.registry import Entry, Registry


class Datasets(Registry):
    """Catalogue entries by name, and for NAME@N that of NAME with fewer images (bench.data.smaller_sets)."""

    def __contains__(self, name: str) -> bool:
        if not is_smaller(name):
            return super().__contains__(name)
        try:
            self.load(name)
        except UserError:
            return False
        return True

    def entry(self, name: str) -> Entry:
        """The registration of a name; UserError as `load`."""
        if not is_smaller(name):
            return super().entry(name)
        return Entry(name, super().entry(whole_name(name)).target, self.load(name).summary)

    def load(self, name: str) -> Any:
        """The entry of a name; UserError for an unknown one, and for an N that NAME cannot have."""
        return smaller(name, super().load(whole_name(name))) if is_smaller(name) else super().load(name)


@cache
def datasets() -> Registry:
    """Catalogue entries by name."""
    hint = " (a folder of your own: `bench data build {name} --resolution R --from DIR`)"
    registry = Datasets("data set", hint)
    for name, entry in read_catalogue().items():
        registry.add(name, f"catalogue:{name}", entry.summary, entry)
    registry.add_entry_points("bench.datasets")
    for name, entry in own_sets():
        _add_own(registry, name, entry)
    return registry


def is_own(name: str) -> bool:
    """Whether a data set is one of the user's own."""
    return name in datasets() and datasets().entry(name).target.startswith(TARGET)


def know_own(name: str, entry: DatasetEntry) -> None:
    """Register a built data set of the user's own, under a name that nothing else has."""
    _add_own(datasets(), name, entry)


def _add_own(registry: Registry, name: str, entry: DatasetEntry) -> None:
    if name not in registry or registry.entry(name).target.startswith(TARGET):
        registry.add(name, f"{TARGET}{name}", entry.summary, entry, yields=True)
