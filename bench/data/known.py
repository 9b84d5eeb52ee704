"""Every known data set: the catalogue of datasets/, installed packages, loaded plug-ins, the user's own."""

from __future__ import annotations

from functools import cache

from bench.data.catalogue import DatasetEntry, read_catalogue
from bench.data.own_sets import TARGET, own_sets
from bench.registry import Registry


@cache
def datasets() -> Registry:
    """Catalogue entries by name."""
    hint = " (a folder of your own: `bench data build {name} --resolution R --from DIR`)"
    registry = Registry("data set", hint)
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
