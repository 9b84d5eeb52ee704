"""The record of a built set, meta.json: what it is, its files and their sums. Read without touching an array."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.errors import UserError

REQUIRED = ("train.npy", "test.npy")


def read_meta(folder: Path) -> dict[str, Any]:
    """The parsed meta.json of a built set; UserError if it is missing or lacks a key."""
    path = folder / "meta.json"
    try:
        meta: dict[str, Any] = json.loads(path.read_text())
        files_known = all(file in meta["files"] for file in REQUIRED)
        if files_known and {"recipe", "sha256", "class_names", "licence"} <= meta.keys():
            return meta
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        pass  # the error below is the same for every way in which the file can be wrong
    raise UserError(f"{path}: missing or damaged; {build_again(folder)}")


def build_again(folder: Path) -> str:
    """The clause that tells how to replace the set in `folder` (its name is NAME-RESOLUTION)."""
    from bench.data.known import datasets  # here: whoever only writes files needs no catalogue

    name, _, resolution = folder.name.rpartition("-")
    known = datasets()
    source = "" if name in known and known.load(name).embedded else " --from DIR"
    return f"build it again with `bench data build {name} --resolution {resolution}{source} --force`"


def set_hash(files: dict[str, Any]) -> str:
    """sha256 over the names and content hashes of a set's arrays."""
    lines = [f"{file} {files[file]['sha256']}\n" for file in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
