"""Bundles: the records and pictures of finished runs as one zip, for other people and other machines.

README.txt                 what it is, for whoever finds it
MANIFEST.json              {"format", "version", "members": name -> {"sha256", "size"} of every other member}
environment.json           the machines, packages and commits that the runs were made with, and how many runs with each
runs/<uid>/...             the run's records and pictures (bench.store.layout.RECORDS), no weights

The same runs give the same bytes: members are sorted, not packed, and have one time and one mode.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import atomic
from bench.store.foreign_records import check_records, most_bytes
from bench.store.lease import is_held
from bench.store.runs import RunFolder, Store

FORMAT, VERSION = "bench bundle", 1
README, MANIFEST, ENVIRONMENT, RUNS = "README.txt", "MANIFEST.json", "environment.json", "runs"
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say
MODE = stat.S_IFREG | 0o644
UNIX = 3
# What of a start is no part of the environment: when and as which job it ran, and edits, which its own record has
OF_A_START = ("time", "job", "diff", "ranks")
TEXT = """\
Runs of a benchmark of GANs on few images, as `bench bundle` writes them.

Each folder of runs/ is one training, one evaluation of a training, or one reference point (real images scored in place
of generated ones), named by the hash of all that it was asked to do:

  spec.json         what was asked for: method, network, data, training, protocol, seed
  provenance.json   when, with which code and packages and on which machine it was started
  inputs.json       the digests of the data and weights that it read
  train.jsonl       losses, a line every few steps
  metrics.jsonl     scores, a line for each score of each snapshot
  result.json       that it has ended, and the digests of its weights
  samples/          generated images of each snapshot; pictures.png: those of an evaluation

Weights are not in it. environment.json lists the machines, packages and commits; MANIFEST.json has the sha256 and the
size of every other file. To take the runs into a store of your own and see their tables:

  bench merge THIS-FILE --store DIR
  bench report --store DIR

`bench merge` compares everything with the manifest before it writes, and prints the sha256 of the manifest: if that is
the one that you were told, these are the files that were sent.
"""


@dataclass(frozen=True)
class Written:
    """What `write_bundle` did: how many runs and members, how many bytes, and the manifest's sha256.

    left_out: run -> why it was not taken.
    """

    path: Path
    runs: int
    members: int
    size: int
    manifest_sha256: str
    left_out: dict[str, str]


def write_bundle(path: Path, store: Store, uids: Sequence[str]) -> Written:
    """Write the records and pictures of these runs to `path`, in one step; unfinished ones are left out.

    Raises UserError where no run is left, and OSError.
    """
    # Which runs go in: finished, whole, and in nobody's hands
    reasons = {uid: why_not(store.folder(uid)) for uid in sorted(set(uids))}
    left_out = {uid: why for uid, why in reasons.items() if why is not None}
    folders = [store.folder(uid) for uid, why in reasons.items() if why is None]
    if not folders:
        first = next((f" ({uid}: {why})" for uid, why in left_out.items()), "")
        raise UserError(f"no finished run to bundle in {store.root}{first}; `bench status` shows the runs")
    # The members in the order of their names, each read once; the manifest, which is of all others, last
    listed: dict[str, dict[str, Any]] = {}
    with atomic.replacing(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in _members(folders):
                archive.writestr(_entry(name), data)
                listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            manifest = _json({"format": FORMAT, "version": VERSION, "members": listed})
            archive.writestr(_entry(MANIFEST), manifest)
        size = file.tell()
    return Written(path, len(folders), len(listed) + 1, size, hashlib.sha256(manifest).hexdigest(), left_out)


def why_not(folder: RunFolder) -> str | None:
    """Why a run of a store cannot be shared, in words; None for one that is finished, whole, and in nobody's hands."""
    try:
        status = folder.status()
        if status not in ("done", "diverged"):
            return f"not finished ({status})"
        if is_held(folder):
            return "a worker has it"
        names = folder.members("record", "picture")
        for name in names:
            if folder.path.joinpath(name).stat().st_size > most_bytes(name):
                return f"{name} has more than {most_bytes(name)} bytes"
        check_records(folder.uid, names, lambda name: folder.path.joinpath(name).read_bytes())
    except (KeyError, TypeError):  # a result or a heartbeat that is JSON, and of another kind
        return "its records are not what a run records"
    except UserError as error:
        return str(error)
    return None


def run_member(uid: str, name: str) -> str:
    """The name of a run's file in a bundle."""
    return f"{RUNS}/{uid}/{name}"


def _members(folders: Sequence[RunFolder]) -> Iterator[tuple[str, bytes]]:
    """Every member but the manifest, in the order of their names."""
    yield README, TEXT.encode()
    yield ENVIRONMENT, _json(environments(folders))
    for folder in folders:
        for name in folder.members("record", "picture"):
            yield run_member(folder.uid, name), folder.path.joinpath(name).read_bytes()


def environments(folders: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """Each distinct environment that runs were started in, with the number of starts, by the runs' own records."""
    counts: dict[str, int] = {}
    for folder in folders:
        for start in folder.starts():
            text = json.dumps({key: value for key, value in start.items() if key not in OF_A_START}, sort_keys=True)
            counts[text] = counts.get(text, 0) + 1
    return [{**json.loads(text), "starts": count} for text, count in sorted(counts.items())]


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, TIME)
    entry.create_system, entry.external_attr = UNIX, MODE << 16
    return entry


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
