"""Finished runs of Table 1 at smoke, as a worker leaves them, without a training: for tests of what is shared."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from bench.plan.load import load_table
from bench.spec.run import RunSpec
from bench.store.runs import RunFolder, Store

LEVELS = {"scratch": 100.0, "scratch+disp": 80.0, "diffaugment": 90.0}
START = {"time": "2026-01-01T00:00:00Z", "commit": "0123456789abcdef", "dirty": False, "packages": {"torch": "2.0"},
         "host": "one", "cpu": "a CPU", "threads": 1, "gpus": [], "job": None}  # fmt: skip


def specs(
    rows: Iterable[str] = tuple(LEVELS), seeds: Iterable[int] = (0, 1), column: str = "faces"
) -> list[tuple[str, RunSpec]]:
    """(row, spec) of each run."""
    table = load_table("table1")
    (one,) = table.pick_columns([column])
    return [(row.id, table.run_spec(row, one, seed, "smoke")) for row in table.pick_rows(list(rows)) for seed in seeds]


def finish(
    store: Store, row: str, spec: RunSpec, *, value: float | None = None, digest: str | None = None,
    seconds: float = 1.0, weights: bool = False,
) -> RunFolder:  # fmt: skip
    """The folder of a run that is done; value: of its score at the last step; digest: of its weights."""
    folder = store.open(spec)
    level = LEVELS[row] + spec.seed if value is None else value
    line = {"metric": "fd", "extractor": "effnet_lite0@64", "error": None, "n_generated": 100, "n_reference": 100,
            "seconds": seconds, "extractor_sha256": "", "reference_sha256": ""}  # fmt: skip
    folder.add_provenance(START)
    folder.write_inputs({"schema": 1, "read": {}, "sources": {}, "whole": True,
                         "starts": [{"commit": "0123456789", "packages": START["packages"]}]})  # fmt: skip
    folder.append(folder.train_log, [{"step": 10, "d_loss": 1.0}])
    folder.append(folder.metrics_log, [{"step": step, "value": level * (2 - step / 20), **line} for step in (10, 20)])
    for step in (10, 20):
        folder.samples.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (int(level) % 256, step, 0)).save(folder.sheet(step))
    if weights:
        folder.state.mkdir()
        folder.final_weights.write_bytes(b"weights of " + spec.uid.encode())
    folder.finish(
        {"steps": 20, "diverged_at": None, "weights_sha256": digest or f"{spec.uid[-12:]}", "seconds": seconds}
    )
    folder.beat("done", 20, 20, None)
    return folder


def fill(store: Store, rows: Iterable[str] = tuple(LEVELS), seeds: Iterable[int] = (0, 1), **more: Any) -> list[str]:
    """Every one of these runs, finished; returns their uids."""
    return [finish(store, row, spec, **more).uid for row, spec in specs(rows, seeds)]


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there, but locks and what is being merged."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    return {
        name: data for name, data in found.items() if not name.startswith("merging/") and not name.endswith("/lock")
    }


def rewritten(path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], target: Path) -> Path:
    """A bundle with its members changed: `change` takes and gives {name: bytes}; the zip is plain as the bundle's."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in change(members).items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return target


def resealed(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members with a manifest that fits them again, as somebody makes it who forges more than one file."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
              for name, data in members.items() if name != "MANIFEST.json"}  # fmt: skip
    manifest = {"format": "bench bundle", "version": 1, "members": listed}
    return {**members, "MANIFEST.json": json.dumps(manifest).encode()}


def png(width: int, height: int) -> bytes:
    """A PNG of one colour."""
    written = io.BytesIO()
    Image.new("L", (width, height)).save(written, "PNG")
    return written.getvalue()
