"""Digests of the source code of a method's part, a network or a plug-in, with its own imports.

Comments and blank lines do not count, so a better explanation does not change a method's identity.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

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
    lines = [
        f"{name} {_read(name, path, times_of(path)).content}\n" for name, path in sorted(own_modules(module).items())
    ]
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
        for imported in _read(name, path, times_of(path)).imports:
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


class _File(NamedTuple):
    imports: tuple[str, ...]  # full names, attributes included (the caller drops what is no module)
    content: str  # a digest


@lru_cache(maxsize=1024)
def _read(module: str, file: Path, times: Times) -> _File:
    """What is to be known of a module's file, which is read and parsed once for both."""
    source = file.read_bytes()
    content = hashlib.sha256(without_comments(source)).hexdigest()
    return _File(_imports(module if file.name == "__init__.py" else module.rpartition(".")[0], source), content)


def _imports(package: str, source: bytes) -> tuple[str, ...]:
    names: list[str] = []
    for node in _nodes(source):
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
    """Every node of a source. Kept for a moment: a file's content and its imports are asked for one after the other."""
    return list(ast.walk(ast.parse(source)))


def without_comments(source: bytes) -> bytes:
    """The source without comments, trailing blanks and empty lines; as it is where it cannot be read as Python."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        # Not splitlines(), which also ends a line at a form feed, as Python does not
        lines = source.decode(encoding).replace("\r\n", "\n").split("\n")
        strings = [node for node in _nodes(source) if isinstance(node, ast.Constant | ast.JoinedStr)]
        columns = _comments_by_line(lines, strings)
        if columns is None:
            columns = comments(source)
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError, ValueError):
        return source
    for row, column in columns.items():
        lines[row - 1] = lines[row - 1][:column]
    # a line that a string goes on from keeps its blanks: they are part of the string
    inside = {row for string in strings for row in range(string.lineno, string.end_lineno or string.lineno)}
    kept = [line if row in inside else line.rstrip() for row, line in enumerate(lines, start=1)]
    return "\n".join(line for row, line in enumerate(kept, start=1) if line or row in inside).encode()


def comments(source: bytes) -> dict[int, int]:
    """Where each comment begins: row, from 1 -> column."""
    tokens = tokenize.tokenize(io.BytesIO(source).readline)
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


def _comments_by_line(lines: Sequence[str], strings: Iterable[ast.Constant | ast.JoinedStr]) -> dict[int, int] | None:
    """The same in a fraction of the time, from each line by itself; None where that is not enough."""
    # A line does not tell where a string of several lines begins, nor what is within an f-string
    unsure: set[int] = set()
    for string in strings:
        rows = range(string.lineno, (string.end_lineno or string.lineno) + 1)
        if len(rows) > 1 or isinstance(string, ast.JoinedStr):
            unsure.update(rows)
    columns = {}
    for row, line in enumerate(lines, start=1):
        if "#" in line:
            code = _CODE.match(line)
            if row in unsure or _TRIPLE.search(line) or code is None or line[code.end() : code.end() + 1] not in "#":
                return None
            columns[row] = code.end()
    return columns


_TRIPLE = re.compile("'{3}|\"{3}")
# What stands before a comment: neither quotes nor #, or whole strings
_CODE = re.compile(r"""(?:[^#"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')*""")
