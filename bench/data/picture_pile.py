"""A user's folder with every file accounted for: as a picture, as a bad one, or as something else."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.picture import SUFFIXES, BadPictureError, Header, NoPictureError, measure
from bench.errors import UserError
from bench.machine.long_work import progress

LISTED = 100  # bad files that a message names; the others are counted
FOREIGN = "__MACOSX"  # what macOS puts into archives


@dataclass
class Pile:
    """The files below a folder. `bad`: file -> reason; `left_out`: what else was not taken, counted by kind."""

    root: Path
    pictures: dict[Path, Header] = field(default_factory=dict)  # sorted by name
    bad: dict[Path, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    animated: int = 0

    def reject(self, path: Path, reason: str) -> None:
        """Move a picture to the bad ones."""
        self.pictures.pop(path, None)
        self.bad[path] = reason

    def told(self) -> str:
        """What was left out, and how many animations gave only their first picture; empty if nothing was."""
        kinds = [f"{count:,} {kind}" for kind, count in sorted(self.left_out.items())]
        kinds += [f"{len(self.bad):,} bad"] if self.bad else []
        parts = [f"left out: {', '.join(kinds)}"] if kinds else []
        parts += [f"{self.animated:,} animated, the first picture of each"] if self.animated else []
        return "; ".join(parts)

    def bad_lines(self) -> list[str]:
        """Every bad file with its reason, at most `LISTED` of them."""
        lines = [f"  {path}: {reason}" for path, reason in sorted(self.bad.items())]
        more = len(lines) - LISTED
        return lines if more <= 0 else [*lines[:LISTED], f"  and {more:,} more"]


def look_through(root: Path, name: str) -> Pile:
    """Every file below `root`, looked at by its content.

    Raises UserError for a folder that cannot be listed and a link that leads out of it.
    """
    pile, files = Pile(root), []
    for path in _walk(root):
        inside = path.relative_to(root).parts
        if FOREIGN in inside or any(part.startswith(".") for part in inside):
            pile.left_out["hidden"] += 1
        else:
            files.append(path)
    files.sort(key=lambda path: path.relative_to(root).as_posix())
    for path in progress(files, len(files), f"{name}, headers"):
        _look_at(pile, path)
    return pile


def _look_at(pile: Pile, path: Path) -> None:
    try:
        header = measure(path)
    except NoPictureError as error:
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            pile.bad[path] = str(error)
        else:
            pile.left_out[suffix or "without a suffix"] += 1
    except BadPictureError as error:
        pile.bad[path] = str(error)
    else:
        pile.pictures[path] = header


def refuse_bad(pile: Pile, remedy: str, use: str = "") -> None:
    """UserError that lists all bad files, if there are any. use: what they are not fit for ("for 'faces'")."""
    if not pile.bad:
        return
    every = len(pile.bad) + len(pile.pictures)
    head = f"{pile.root}: {len(pile.bad):,} of {every:,} pictures cannot be used{use and ' '}{use}"
    raise UserError(f"{head} ({remedy}):", pile.bad_lines())


def _walk(root: Path) -> Sequence[Path]:
    files = []
    for folder, folders, names in os.walk(root, onerror=_cannot_list, followlinks=False):
        for name in (*folders, *names):
            path = Path(folder) / name
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                raise UserError(f"{path}: a link to a folder or out of {root} is not followed; put the files there")
        files += [Path(folder) / name for name in names]
    return files


def _cannot_list(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed: {error.strerror}")
