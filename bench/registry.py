"""Names to things, lazily: listing never imports what it lists.

Methods and data sets are found as files (`methods/x.py`, entries of `datasets/catalogue.yaml`), as entry
points (`bench.methods`, `bench.datasets`) and through `--plugin FILE.py`; networks and extractors are tables
in the engine.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bench.errors import UserError, did_you_mean
from bench.files.source_code import PLUGIN, imported_again

METHOD_NAME = r"[a-z][a-z0-9-]*"


@dataclass(frozen=True)
class Entry:
    """A registered name: where it comes from ("module:attr", an empty attr means "the module's one part")."""

    name: str
    target: str
    summary: str


class Registry:
    """A table of lazily imported things of one kind."""

    def __init__(self, kind: str, hint: str = "") -> None:
        self.kind = kind
        self._hint = hint  # what to do about an unknown name, with "{name}" for it
        self._entries: dict[str, Entry] = {}
        self._loaded: dict[str, Any] = {}

    def add(self, name: str, target: str, summary: str) -> None:
        """Register `name`; a second registration under a taken name is refused."""
        taken = self._entries.get(name)
        if taken and taken.target != target and not taken.target.startswith("own:"):
            raise UserError(f"{self.kind} '{name}' is registered twice: {taken.target} and {target}")
        self._entries[name] = Entry(name, target, summary)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries[name] for name in sorted(self._entries))

    def entry(self, name: str) -> Entry:
        """The entry of `name`; raises UserError with the nearest known name."""
        if name not in self._entries:
            if _BROKEN:
                raise UserError(f"{self.kind} '{name}' is not there: {'; '.join(_BROKEN)}")
            hint = self._hint.format(name=name)
            raise UserError(f"unknown {self.kind} '{name}'; {did_you_mean(name, self._entries)}{hint}")
        return self._entries[name]

    def load(self, name: str) -> Any:
        """Import and return what `name` stands for. A plug-in that fails to import is an error naming it."""
        entry = self.entry(name)
        if name not in self._loaded:
            module_name, _, attribute = entry.target.partition(":")
            try:
                module = importlib.import_module(module_name)
                found = getattr(module, attribute) if attribute else _only_part(module)
            except UserError:
                raise
            except Exception as error:  # a module of somebody else's: whatever it raises, it is named
                reason = f"{type(error).__name__}: {error}"
                raise UserError(
                    f"{self.kind} '{name}' ({module_name}) cannot be imported: {reason}"
                ) from error
            self._loaded[name] = found
        return self._loaded[name]


def methods() -> Registry:
    """Every known method part: the files of methods/, entry points, loaded plug-ins."""
    if not _METHODS:
        registry = Registry("method")
        package = importlib.import_module("bench.methods")
        for found in pkgutil.iter_modules(package.__path__):
            if not found.name.startswith("_"):
                path = Path(found.module_finder.path) / f"{found.name}.py"  # type: ignore[union-attr]
                registry.add(found.name.replace("_", "-"), f"bench.methods.{found.name}:", _first_line(path))
        _add_entry_points(registry, "bench.methods")
        _METHODS.append(registry)
    return _METHODS[0]


def datasets() -> Registry:
    """Every known data set: the catalogue of datasets/, entry points, loaded plug-ins. Values: catalogue
    entries.
    """
    if not _DATASETS:
        from bench.data.catalogue import read_catalogue
        from bench.data.own_sets import own_sets

        registry = Registry(
            "data set", " (a folder of your own: `bench data build {name} --resolution R --from DIR`)"
        )
        for name, entry in read_catalogue().items():
            registry.add(name, f"catalogue:{name}", entry.summary)
            registry._loaded[name] = entry
        _add_entry_points(registry, "bench.datasets")
        _DATASETS.append(registry)
        for name, entry in own_sets():
            know_own(name, entry)
    return _DATASETS[0]


def know_own(name: str, entry: Any) -> None:
    """Register a built data set of the user's own, under a name that nothing else has."""
    from bench.data.own_sets import TARGET

    known = datasets()
    if name not in known or known.entry(name).target.startswith(TARGET):
        known.add(name, f"{TARGET}{name}", entry.summary)
        known._loaded[name] = entry


def load_plugin(path: str) -> list[str]:
    """Import a file of the user's and register each `Method` and `DATASETS` entry it defines; returns the
    names.

    The module is importable afterwards under its own name, so that workers find its classes again.
    """
    from bench.data.catalogue import DatasetEntry

    file = Path(path)
    if not file.is_file():
        raise UserError(f"plug-in '{path}' is not a file")
    name = f"{PLUGIN}{re.sub(r'[^0-9a-zA-Z_]', '_', file.stem)}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError(f"plug-in '{path}' is not a Python file: its name must end with .py")
    before = getattr(sys.modules.get(name), "__file__", None)
    if before is not None and Path(before).resolve() != file.resolve():
        raise UserError(f"plug-ins '{before}' and '{path}' have the same name; rename one of them")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        source = file.read_bytes()
        exec(compile(source, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"plug-in '{path}' cannot be imported: {type(error).__name__}: {error}") from error
    imported_again(name)
    _PLUGINS[str(file.resolve())] = source
    names = []
    for part in _parts(module):
        label = getattr(part, "name", None) or _kebab(part.__name__)
        if not re.fullmatch(METHOD_NAME, label):
            raise UserError(
                f"plug-in '{path}': method name '{label}' must be lower-case words joined by hyphens"
            )
        methods().add(label, f"{name}:{part.__name__}", (inspect.getdoc(part) or "").split("\n")[0])
        names.append(label)
    for label, entry in dict(getattr(module, "DATASETS", {})).items():
        if not isinstance(entry, DatasetEntry):
            raise UserError(
                f"plug-in '{path}': DATASETS['{label}'] must be a bench.data.catalogue.DatasetEntry"
            )
        datasets().add(label, f"{name}:{label}", entry.summary)
        datasets()._loaded[label] = entry
        names.append(label)
    if not names:
        raise UserError(f"plug-in '{path}' defines neither a Method subclass nor DATASETS")
    return names


def load_or_note(path: str) -> None:
    """`load_plugin` for a worker: a file that cannot be loaded is the failure of the runs that name what is in it."""
    try:
        load_plugin(path)
    except UserError as error:
        _BROKEN.append(str(error))


_BROKEN: list[str] = []  # why plug-ins could not be loaded


def plugin_source(path: str) -> bytes:
    """The bytes of a plug-in as this process has imported it, whatever has become of the file since."""
    return _PLUGINS[str(Path(path).resolve())]


_PLUGINS: dict[str, bytes] = {}
_METHODS: list[Registry] = []
_DATASETS: list[Registry] = []


def _parts(module: Any) -> list[type]:
    """The public Method subclasses that a module itself defines."""
    from bench.train import Method

    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _only_part(module: Any) -> type:
    parts = _parts(module)
    if len(parts) != 1:
        raise UserError(
            f"{module.__name__} must define exactly one public Method subclass, found {len(parts)}"
        )
    return parts[0]


def _add_entry_points(registry: Registry, group: str) -> None:
    for point in entry_points(group=group):
        registry.add(point.name, point.value, f"from the package {point.dist.name if point.dist else '?'}")


def _first_line(path: Path) -> str:
    """The first line of a module's docstring, without importing the module."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
