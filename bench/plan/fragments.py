"""`use: file/key` in a table's scales: settings that tables share, from bench/tables/common/file.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from bench import paths
from bench.errors import did_you_mean
from bench.files.yamlfile import Keys, load_yaml, merge, mistake

TABLES = paths.PACKAGE / "tables"
COMMON = "common"  # the folder of fragments, which is no paper's
USE = "use"


def with_fragments(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """A table's plain data with what its scales `use` put in, under what they say themselves.

    Raises UserError with the line of a `use` that names no fragment, or that leads back to itself.
    """
    scales = value.get("scales")
    if not isinstance(scales, dict):
        return value
    return {**value, "scales": _filled(scales, path, ("scales",), ())}


def _filled(value: dict[str, Any], path: Path, keys: Keys, within: tuple[str, ...]) -> dict[str, Any]:
    """A mapping without its `use`, and with the fragments that it names under its own keys.

    within: the fragments that this is a part of.
    """
    own = {
        key: _filled(inner, path, (*keys, key), within) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if key != USE
    }
    if USE not in value:
        return own
    base: dict[str, Any] = {}
    for name in _names(value[USE], path, (*keys, USE)):
        if name in within:
            raise mistake(path, (*keys, USE), f"fragment '{name}' uses itself: {' > '.join((*within, name))}")
        file, content = _fragment(name, path, (*keys, USE))
        base = merge(base, _filled(content, file, (name.partition("/")[2],), (*within, name)), keep_null=True)
    return merge(base, own, keep_null=True)


def _names(value: Any, path: Path, keys: Keys) -> list[str]:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or "/" not in name:
            raise mistake(path, keys, f"'{name}' is no fragment; write file/key, {did_you_mean(str(name), _known())}")
    return names


def _fragment(name: str, path: Path, keys: Keys) -> tuple[Path, dict[str, Any]]:
    """The file of a fragment and its content; `path` and `keys` are where it is named."""
    label, _, key = name.partition("/")
    file = TABLES / COMMON / f"{label}.yaml"
    content = _content(file).get(key) if file.is_file() else None
    if not isinstance(content, dict):
        raise mistake(path, keys, f"unknown fragment '{name}'; {did_you_mean(name, _known())}")
    return file, content


@cache
def _content(file: Path) -> dict[str, Any]:
    return load_yaml(file)


def _known() -> list[str]:
    """Every fragment that there is."""
    files = sorted((TABLES / COMMON).glob("*.yaml"))
    return [
        f"{file.stem}/{key}" for file in files for key, content in _content(file).items() if isinstance(content, dict)
    ]
