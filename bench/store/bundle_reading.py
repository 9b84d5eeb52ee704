"""Reading a bundle that may come from anybody: nothing of it is believed before all of it has been checked.

Members are not packed, so that none is larger than the file. Names are compared with those that a bundle has, and lead
nowhere; every member is compared with the manifest, and each run's records with what a run records.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.files.inert_pickle import shown
from bench.store.bundle import ENVIRONMENT, FORMAT, MANIFEST, README, RUNS, VERSION, run_member
from bench.store.foreign_records import MIB, MOST_JSON, check_records, most_bytes, parsed
from bench.store.layout import sort_of

MOST_BUNDLE = 64 * 1024 * MIB  # bytes of the file
MOST_LIST = 128 * MIB  # bytes of its list of members: some 600,000
_END, _LOCATOR, _LARGE_END = 22, 20, 56  # bytes of what stands at the end of a zip
TOP = (README, MANIFEST, ENVIRONMENT)


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    format: Literal["bench bundle"]
    version: int
    members: dict[str, _Listed]


class Bundle:
    """A bundle that has been checked whole, open for reading: a context.

    manifest_sha256: of its manifest. runs: the paths of each run's files in its folder, by the run's uid.
    Raises UserError, in one line that names the file, for anything that is not as `write_bundle` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: dict[str, list[str]] = {}
        self._archive: zipfile.ZipFile | None = None
        try:
            self._open()
        except BaseException as error:
            self.close()
            if isinstance(error, UserError):
                raise UserError(f"bundle {path}: {error}; nothing of it is taken") from error
            # A damaged archive raises nearly anything
            if isinstance(error, Exception) and not (isinstance(error, OSError) and error.errno):
                raise UserError(f"bundle {path}: is damaged, or no zip archive; nothing of it is taken") from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._archive is not None:
            self._archive.close()

    def read(self, uid: str, name: str) -> bytes:
        """A file of a run, compared with the manifest again: the file may be changed while it is open."""
        return self._member(run_member(uid, name))

    def _open(self) -> None:
        """Check everything: the list of members, the manifest, every member, and every run."""
        size = self.path.stat().st_size
        if size > MOST_BUNDLE:
            raise UserError(f"has {size} bytes; at most {MOST_BUNDLE} are read")
        with self.path.open("rb") as file:
            _check_end(file, size)
        self._archive = zipfile.ZipFile(self.path)
        self._entries = _plain_entries(self._archive, size)
        manifest = self._unchecked(MANIFEST, MOST_JSON * 2)
        self.manifest_sha256 = hashlib.sha256(manifest).hexdigest()
        self._listed = _listed(manifest)
        _compare_names(set(self._entries) - {MANIFEST}, set(self._listed))
        # The members beside the runs, then each run, all of whose files are read
        for name in self._listed:
            if name.startswith(f"{RUNS}/"):
                uid, member = name.removeprefix(f"{RUNS}/").split("/", 1)
                self.runs.setdefault(uid, []).append(member)
            else:
                self._member(name)
        for uid, names in self.runs.items():
            try:
                check_records(uid, names, lambda name, uid=uid: self.read(uid, name))  # type: ignore[misc]
            except UserError as error:
                raise UserError(f"run {shown(uid)}: {error}") from error

    def _member(self, name: str) -> bytes:
        """A member's bytes. UserError where they are not those of the manifest."""
        listed, inside = self._listed[name], name.split("/", 2)[-1]
        most = most_bytes(inside) if name.startswith(f"{RUNS}/") else MOST_JSON
        data = self._unchecked(name, most)
        if len(data) != listed.size or hashlib.sha256(data).hexdigest() != listed.sha256:
            raise UserError(f"{shown(name)} is not what the manifest says: it was changed or damaged")
        return data

    def _unchecked(self, name: str, most: int) -> bytes:
        assert self._archive is not None
        if name not in self._entries:
            raise UserError(f"has no {name}")
        if (size := self._entries[name].file_size) > most:
            raise UserError(f"{shown(name)} has {size} bytes; at most {most} are read")
        try:
            with self._archive.open(self._entries[name]) as file:
                return file.read(size + 1)
        except zipfile.BadZipFile as error:  # its own name or its own sum is another than the list says
            raise UserError(f"{shown(name)} is damaged") from error


def _plain_entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name. UserError for one that no bundle has: by its name, packed, a link, twice, over others."""
    entries: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for entry in archive.infolist():
        name = entry.orig_filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if not _is_known(name):
            raise UserError(f"has a member {shown(name)}, which no bundle has")
        if name in entries:
            raise UserError(f"has the member {shown(name)} twice")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.compress_size != entry.file_size:
            raise UserError(f"{shown(name)} is packed or encrypted, which no bundle is")
        if kind not in (0, stat.S_IFREG):
            raise UserError(f"{shown(name)} is a link or another thing that is no file")
        entries[name] = entry
        total += entry.file_size
    if total > size:
        raise UserError(f"its members have {total} bytes together, and the file has {size}")
    return entries


def _is_known(name: str) -> bool:
    """Whether a bundle may have a member of this name; that a run's name is its own is checked with its spec."""
    if name in TOP:
        return True
    top, uid, inside = [*name.split("/", 2), "", ""][:3]
    plain = uid.isascii() and uid.isprintable() and uid not in ("", ".", "..") and "\\" not in uid
    return top == RUNS and plain and sort_of(inside) in ("record", "picture")


def _listed(manifest: bytes) -> dict[str, _Listed]:
    value: Any = parsed(MANIFEST, manifest)
    if isinstance(value, dict) and value.get("format") == FORMAT and value.get("version") != VERSION:
        raise UserError(f"is of version {value.get('version')!r:.20} of bundles, and this version reads {VERSION}")
    try:
        return _Manifest.model_validate(value).members
    except (ValidationError, RecursionError) as error:
        raise UserError(f"{MANIFEST} is not the manifest of a bundle") from error


def _compare_names(members: set[str], listed: set[str]) -> None:
    if extra := sorted(members - listed):
        raise UserError(f"has a member {shown(extra[0])}, which is not in its manifest")
    if missing := sorted(listed - members):
        raise UserError(f"lacks {shown(missing[0])}, which is in its manifest")


def _check_end(file: BinaryIO, size: int) -> None:
    """UserError where the end of the zip announces a list of members that would not fit into memory.

    zipfile reads the whole list before anybody can look at it. A bundle has no comment, so that its end is its last 22
    bytes; a large one has a larger end and where that lies before them.
    """
    file.seek(max(0, size - _END - _LOCATOR - _LARGE_END))
    tail = file.read()
    if tail[-_END:][:4] != b"PK\x05\x06":
        raise UserError("does not end as a bundle does: it is cut off, or no zip archive")
    (length,) = struct.unpack("<I", tail[-_END:][12:16])
    locator, large = tail[-_END - _LOCATOR : -_END], tail[: -_END - _LOCATOR]
    if locator[:4] == b"PK\x06\x07":
        place = struct.unpack("<Q", locator[8:16])[0] if len(locator) == _LOCATOR else -1
        if large[:4] != b"PK\x06\x06" or len(large) != _LARGE_END or place != size - len(tail):
            raise UserError("does not end as a bundle does")
        (length,) = struct.unpack("<Q", large[40:48])
    if length > MOST_LIST:
        raise UserError(f"has a list of members of {length} bytes; at most {MOST_LIST} are read")
