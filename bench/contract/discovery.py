"""Every known method part: the files of methods/, installed packages, loaded plug-ins."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from functools import cache, partial
from importlib.machinery import FileFinder
from pathlib import Path
from types import ModuleType

from bench.errors import UserError
from bench.registry import Registry

METHOD_NAME = r"[a-z][a-z0-9-]*"


@cache
def methods() -> Registry:
    """Method parts by name, lazily: listing them imports none. A file `methods/x_y.py` is the part `x-y`."""
    registry = Registry("method", pick=only_part)
    package = importlib.import_module("bench.methods")
    for module in pkgutil.iter_modules(package.__path__):
        assert isinstance(module.module_finder, FileFinder)
        path = Path(module.module_finder.path) / f"{module.name}.py"
        registry.add(module.name.replace("_", "-"), f"bench.methods.{module.name}:", partial(_first_line, path))
    registry.add_entry_points("bench.methods")
    return registry


def parts_of(module: ModuleType) -> list[type]:
    """The public Method subclasses that a module itself defines."""
    from bench.contract.base import Method  # here, for it imports torch

    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]


def only_part(module: ModuleType) -> type:
    """The one part that a module defines; UserError for any other number."""
    parts = parts_of(module)
    if len(parts) != 1:
        raise UserError(f"{module.__name__} must define exactly one public Method subclass, found {len(parts)}")
    return parts[0]


def _first_line(path: Path) -> str:
    """The first line of a module's docstring, without importing the module."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
