"""Plug-ins: Python files of the user's that add methods, data sets, scores, measures and extractors (`--plugin`)."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from pathlib import Path

from bench.contract.discovery import METHOD_NAME, methods, parts_of
from bench.data.catalogue import DatasetEntry
from bench.data.known import datasets
from bench.errors import UserError
from bench.evaluate.registry import add_measures, run_measures
from bench.evaluate.traces import add_traces, traces
from bench.features.lookup import add_extractors, extractors
from bench.files.source_code import PLUGIN, imported_again
from bench.metrics.measures import add_scores, measures
from bench.registry import BROKEN

_SOURCES: dict[str, bytes] = {}  # resolved path -> the bytes that were imported


def load_plugin(path: str) -> list[str]:
    """Import a file of the user's, register what it defines, and return the names.

    It may define `Method` subclasses, entries of `DATASETS`, cards in `SCORES`, `MEASURES` and `TRACES`, and entries in
    `EXTRACTORS`. The module is importable afterwards under its own name, so that workers find its classes again. Raises
    UserError for a file that cannot be imported, that defines none of these, or whose names are taken.
    """
    # The module's own name, which no plug-in of another folder may have.
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
    # Import the bytes that are kept for workers and cluster jobs.
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        source = file.read_bytes()
        exec(compile(source, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"plug-in '{path}' cannot be imported: {type(error).__name__}: {error}") from error
    imported_again(name)
    _SOURCES[str(file.resolve())] = source
    # Register its methods, then data sets, scores, extractors and measures of finished runs.
    names = []
    for part in parts_of(module):
        label = getattr(part, "name", None) or _kebab(part.__name__)
        if not re.fullmatch(METHOD_NAME, label):
            raise UserError(f"plug-in '{path}': method name '{label}' must be lower-case words joined by hyphens")
        methods().add(label, f"{name}:{part.__name__}", (inspect.getdoc(part) or "").split("\n")[0])
        names.append(label)
    for label, entry in dict(getattr(module, "DATASETS", {})).items():
        if not isinstance(entry, DatasetEntry):
            raise UserError(f"plug-in '{path}': DATASETS['{label}'] must be a bench.data.catalogue.DatasetEntry")
        datasets().add(label, f"{name}:{label}", entry.summary, entry)
        names.append(label)
    try:
        names += [*add_scores(measures(), name), *add_extractors(extractors(), name)]
        names += [*add_traces(traces(), name), *add_measures(run_measures(), name)]
    except UserError as error:
        raise UserError(f"plug-in '{path}': {error}") from error
    if not names:
        kinds = "no Method subclass, no DATASETS, no SCORES, no MEASURES, no TRACES and no EXTRACTORS"
        raise UserError(f"plug-in '{path}' defines {kinds}")
    return names


def load_or_note(path: str) -> None:
    """`load_plugin` for a worker: if a file cannot be loaded, only the runs that need it fail."""
    try:
        load_plugin(path)
    except UserError as error:
        BROKEN.append(str(error))


def plugin_source(path: str) -> bytes:
    """The bytes of a plug-in as this process imported them, even if the file has changed since."""
    return _SOURCES[str(Path(path).resolve())]


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
