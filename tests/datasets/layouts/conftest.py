"""A release of a few files on disk, arranged by a layout as the builder does it."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.data.sources.folder import FolderSource

Arrange = Callable[..., Any]


@pytest.fixture
def arrange(tmp_path: Path) -> Arrange:
    """(layout, {name: content or None}, **options) -> Arranged, with every item accounted for."""

    def arranged(layout: str, files: dict[str, bytes | str | None], **options: Any) -> Any:
        root = tmp_path / "release"
        shutil.rmtree(root, ignore_errors=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content or b"")
        source = FolderSource(root)
        items = tuple(source.items())
        found = importlib.import_module("bench.datasets.layouts.arrangement").layout(layout)(source, items, options)
        assert len(found.items) + found.left_out.total() == len(items) == len(files)
        assert {item.name for item in found.items} <= set(files)
        assert len({item.split is None for item in found.items}) == 1
        return found

    return arranged
