"""Digests of the source code of a method's part, a network or a plug-in, with its own imports.

Comments and blank lines do not count, so a better explanation does not change a method's identity.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import sys
import tokenize
from functools import lru_cache
from pathlib import Path

from bench.errors import UserError
from bench.files.digests import Times, times_of

PLUGIN = "bench_plugin_"  # the first letters of every plug-in's module name (bench.plugins)
DIGITS = 16  # of a sha256: enough that two sources of one name will not agree by chance


def module_digest(module: str) -> str:
    """The digest of an importable module and of the modules of its own package that it imports.

    Its own package is, for a module of ours, the folder of the method or network; for an installed one, the
    distribution's top-level package; for a plug-in, its file. For the last two it includes whatever they import that is
    not installed: a file beside the plug-in, a package under development. Raises UserError without a source file.
    """
    if module in _IMPORTED:
        return _IMPORTED[module]
    lines = [f"{name} {_content(path, times_of(path))}\n" for name, path in sorted(own_modules(module).items())]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGITS]
    if not module.startswith("bench."):
        _IMPORTED[module] = digest
    return digest


def imported_again(module: str) -> str:
    """The digest of a module that has just been imported, perhaps once more: from here on it is this one's."""
    _IMPORTED.pop(module, None)
    return module_digest(module)


# Digests of modules from outside, as this process has imported and will run them, even if their files change.
_IMPORTED: dict[str, str] = {}


def own_modules(module: str) -> dict[str, Path]:
    """The module and, of its own package (`module_digest`), all that it imports, directly or not: name -> file.

    Raises UserError for a module without a source file.
    """
    file = module_file(module)
    if file is None:
        raise UserError(f"module '{module}' has no source file: what it does cannot be recorded")
    own = _own_package(module)
    files, waiting = {module: file}, [(module, file)]
    while waiting:
        name, path = waiting.pop()
        for imported in _imports(name, path, times_of(path)):
            if imported in files:
                continue
            named = imported == own or imported.startswith((f"{own}.", PLUGIN))
            if not named and imported.partition(".")[0] in _NOT_OWN:
                continue
            other = module_file(imported) if named or not module.startswith("bench.") else None
            if other is not None and (named or not _is_installed(other)):
                files[imported] = other
                waiting.append((imported, other))
    return files


_NOT_OWN = {*sys.stdlib_module_names, "bench"}


def _is_installed(file: Path) -> bool:
    """Whether a file is of an installed package, which records name by its version: pip keeps its notes beside."""
    return any(map(_is_of_pip, file.parents))


@lru_cache(maxsize=64)
def _is_of_pip(folder: Path) -> bool:
    return any(folder.glob("*.dist-info"))


def _own_package(module: str) -> str:
    """bench.methods for bench.methods.disp, mylib for mylib.gans.lecam."""
    if module.startswith("bench."):
        return ".".join(module.split(".")[:2])
    return module.partition(".")[0]


def module_file(module: str) -> Path | None:
    """The source file of a module, imported or not; None for one without, and for an attribute of a module."""
    if (loaded := sys.modules.get(module)) is not None:
        named = getattr(loaded, "__file__", None)
        return Path(named) if named and named.endswith(".py") else None
    if module.startswith("bench."):
        return _own_file(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _own_file(module: str) -> Path | None:
    """The source file of a module of ours, by its place alone.

    `importlib.util.find_spec` imports the packages above a module. Those of networks import torch, and a plan or a
    report only wants to know whether their code has changed.
    """
    names = module.split(".")[1:]
    for folder in sys.modules["bench"].__path__:
        place = Path(folder, *names)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


@lru_cache(maxsize=1024)
def _imports(module: str, file: Path, times: Times) -> tuple[str, ...]:
    """The full names of what a file imports, attributes included (the caller drops what is no module)."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in _nodes(file.read_bytes()):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")
            base = ".".join([*steps[: len(steps) - node.level + 1], *filter(None, [node.module])])
            start = base if node.level else node.module or ""
            names += [start, *(f"{start}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1)
def _nodes(source: bytes) -> list[ast.AST]:
    """Every node of a source. Kept for a moment: a file's imports and its content are asked for one after the other."""
    return list(ast.walk(ast.parse(source)))


@lru_cache(maxsize=1024)
def _content(file: Path, times: Times) -> str:
    return hashlib.sha256(without_comments(file.read_bytes())).hexdigest()


def without_comments(source: bytes) -> bytes:
    """The source without comments, trailing blanks and empty lines; as it is where it cannot be read as Python."""
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
        lines = source.decode(tokens[0].string).splitlines()
        strings = [node for node in _nodes(source) if isinstance(node, ast.Constant | ast.JoinedStr)]
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError, ValueError):
        return source
    inside = {row for string in strings for row in range(string.lineno, string.end_lineno or string.lineno)}
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    # a line that a string goes on from keeps its blanks: they are part of the string
    kept = [line if row in inside else line.rstrip() for row, line in enumerate(lines, start=1)]
    return "\n".join(line for row, line in enumerate(kept, start=1) if line or row in inside).encode()
