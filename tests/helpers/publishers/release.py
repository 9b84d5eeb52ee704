"""A small release of a data set in its publisher's real arrangement of files, and what must become of it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Write = Callable[[Path], Path]


@dataclass(frozen=True)
class Release:
    """How it is written, the counts to which the catalogue's entry is reduced for it, and what is in it.

    Pictures are told by their numbers (drawn.number_of). `write` fills an empty folder and gives the path for --from.
    """

    write: Write
    train: int
    test: int
    members: frozenset[int]  # the numbers of the set's pictures; the release may hold others
    options: Mapping[str, Any] = field(default_factory=dict)  # counts among the entry's options
    label_of: Mapping[int, str] = field(default_factory=dict)  # empty for a set without classes
    split_of: Mapping[int, str] = field(default_factory=dict)  # empty where the split is drawn
    attributes_of: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    attribute_names: tuple[str, ...] = ()


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_tar(path: Path, files: Mapping[str, bytes | str], mode: str = "w:gz") -> Path:
    """A tar of files with the entries for their folders that tar itself writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A zip of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
