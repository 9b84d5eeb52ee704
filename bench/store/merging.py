"""Merging: runs of other stores and of bundles become runs of a store, one whole folder at a time.

A run that is there already is compared: the same result is counted, another one is a conflict, and neither is
overwritten. A folder is copied below <store>/merging and moves to its place in one step, so that a merge that was
interrupted is continued by doing it again. One merge at a time works on a store.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from bench.errors import UserError
from bench.files import atomic
from bench.store.bundle import why_not
from bench.store.bundle_reading import Bundle
from bench.store.layout import MERGING, METRICS_LOG, RESULT, sort_of
from bench.store.runs import RunFolder, Store

Keep = Literal["store", "source"]
# Of results and scores that differ in these alone, the result is the same: it was made on another machine, or later
OF_THE_MACHINE = ("seconds",)


@dataclass(frozen=True)
class Offer:
    """A finished run of a source: its files, by their paths in its folder, and how each is copied into an open file."""

    uid: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    copy: Callable[[str, BinaryIO], None]


@dataclass
class Merged:
    """What came of a source's runs. not_taken, conflicts: run -> why."""

    copied: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)  # of the same, those whose weights only the source had
    replaced: list[str] = field(default_factory=list)  # those of the store that were set aside (keep="source")
    kept: dict[str, str] = field(default_factory=dict)  # conflicts in which the store's was to stay (keep="store")
    not_taken: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)


class Source:
    """A store or a bundle whose runs are merged; `close` it. Raises UserError for what is neither, or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bundle: Bundle | None = None
        self.store = Store(path)
        if not path.exists():
            raise UserError(f"{path}: there is no such bundle or store")
        if path.is_file():
            self.bundle = Bundle(path)
        elif not self.store.uids():
            raise UserError(f"{path}: is no store, as none of its folders is a run's, and no bundle")

    def close(self) -> None:
        """Close the file of a bundle."""
        if self.bundle is not None:
            self.bundle.close()

    def offers(self) -> Iterator[Offer | tuple[str, str]]:
        """Every run in the order of their names: an offer, or (run, why it is not taken)."""
        if (bundle := self.bundle) is not None:
            for uid, names in sorted(bundle.runs.items()):
                yield Offer(uid, names, _reader(bundle, uid), _writer(bundle, uid))
            return
        for uid in self.store.uids():
            folder = self.store.folder(uid)
            if why := _link_in(folder) or why_not(folder):
                yield uid, why
            else:
                yield Offer(uid, folder.members("record", "picture", "weights"), _bytes_in(folder), _copier(folder))


def merge(source: Source, store: Store, keep: Keep | None = None) -> Merged:
    """Take the runs of a source into a store.

    keep: whose run stays where the two differ; None: the store's, and the difference is a conflict. A run of the store
    that makes way is set aside, never deleted. Raises UserError while another merge works on the store, and OSError.
    """
    merged = Merged()
    if source.bundle is None and store.root.exists() and source.path.samefile(store.root):
        raise UserError(f"{source.path}: is the store itself")
    with _place(store) as place:
        for offer in source.offers():
            if isinstance(offer, tuple):
                merged.not_taken[offer[0]] = offer[1]
                continue
            here = store.folder(offer.uid)
            if not here.path.exists():
                _take(offer, store, place)
                merged.copied.append(offer.uid)
                continue
            _meet(offer, here, store, place, keep, merged)
    return merged


def _meet(offer: Offer, here: RunFolder, store: Store, place: Path, keep: Keep | None, merged: Merged) -> None:
    """Decide on a run that is in the store already."""
    if (why := difference(offer, here)) is None:
        merged.same.append(offer.uid)
        if lacking := [n for n in offer.names if sort_of(n) == "weights" and not here.path.joinpath(n).exists()]:
            _copy(offer, lacking, here.path)
            merged.completed.append(offer.uid)
        return
    # A folder in which nothing is made yet makes way without being asked for; nothing is deleted
    bare = not here.has_progress() and here.spec_file.exists() and here.status() != "running"
    if keep == "source" or bare:
        try:
            store.set_aside(offer.uid, f"bench merge took the same run from elsewhere: {why}")
        except UserError as error:
            merged.conflicts[offer.uid] = str(error)
            return
        _take(offer, store, place)
        (merged.copied if bare else merged.replaced).append(offer.uid)
    elif keep == "store":
        merged.kept[offer.uid] = why
    else:
        merged.conflicts[offer.uid] = why


def difference(offer: Offer, here: RunFolder) -> str | None:
    """What tells a run of a source from the store's run of the same name; None where the result is the same."""
    try:
        ours = here.result()
    except UserError as error:
        return str(error)
    if ours is None:
        return f"finished there, not here ({here.status()})"
    theirs = json.loads(offer.read(RESULT))
    for name in ("diverged_at", "weights_sha256", "best_sha256", "kept_sha256"):
        if ours.get(name) != theirs.get(name):
            return f"another {name}: {_short(ours.get(name))} here, {_short(theirs.get(name))} there"
    if _lasting(ours) != _lasting(theirs):
        return "another result"
    lines = offer.read(METRICS_LOG).splitlines() if METRICS_LOG in offer.names else []
    for mine, other in _pairs(here.metrics(), [json.loads(line) for line in lines]):
        if _lasting(mine) != _lasting(other):
            line = mine or other
            what = f"{line['metric']} at step {line['step']}"
            return f"other scores: {what} is {mine.get('value')} here, {other.get('value')} there"
    return None


def _pairs(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The lines of the same place; an empty one where one list has none."""
    for number in range(max(len(ours), len(theirs))):
        yield ours[number] if number < len(ours) else {}, theirs[number] if number < len(theirs) else {}


def _lasting(record: dict[str, Any]) -> str:
    """What of a record is the same wherever and whenever it is made; as text, in which nan is nan."""
    return json.dumps({key: value for key, value in record.items() if key not in OF_THE_MACHINE}, sort_keys=True)


def _take(offer: Offer, store: Store, place: Path) -> None:
    """Copy a run beside the store's, and move it to its place in one step."""
    folder = place / offer.uid
    _copy(offer, offer.names, folder)
    folder.rename(store.folder(offer.uid).path)


def _copy(offer: Offer, names: Sequence[str], folder: Path) -> None:
    for name in names:
        with atomic.replacing(folder / name) as file:
            offer.copy(name, file)


@contextmanager
def _place(store: Store) -> Iterator[Path]:
    """The folder to copy into, for this merge alone, without what an interrupted one left."""
    place = store.root / MERGING
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{store.root}: another bench merge is at work on this store; wait for it") from error
        for leftover in (path for path in place.iterdir() if path.is_dir()):
            shutil.rmtree(leftover)
        yield place


def _link_in(folder: RunFolder) -> str | None:
    """Why a folder with a link in it is not taken: what it leads to may be anything of this machine."""
    names = folder.members("record", "picture", "weights")
    places: Iterable[Path] = (folder.path, folder.samples, folder.state, *(folder.path / name for name in names))
    link = next((path for path in places if path.is_symlink()), None)
    return None if link is None else f"{link} is a link"


def _short(value: Any) -> str:
    return str(value)[:12] if isinstance(value, str) else json.dumps(value)[:60]


def _reader(bundle: Bundle, uid: str) -> Callable[[str], bytes]:
    return lambda name: bundle.read(uid, name)


def _writer(bundle: Bundle, uid: str) -> Callable[[str, BinaryIO], None]:
    def write(name: str, file: BinaryIO) -> None:
        file.write(bundle.read(uid, name))

    return write


def _bytes_in(folder: RunFolder) -> Callable[[str], bytes]:
    return lambda name: folder.path.joinpath(name).read_bytes()


def _copier(folder: RunFolder) -> Callable[[str, BinaryIO], None]:
    def copy(name: str, file: BinaryIO) -> None:
        with folder.path.joinpath(name).open("rb") as source:
            shutil.copyfileobj(source, file)

    return copy
