"""The run store: one folder per run, records that are whole or absent, and one worker per run at a time.

<store>/<uid>/spec.json         the resolved RunSpec, exactly what was hashed
              provenance.json   one entry per start: code, packages, hardware
              inputs.json       the digests of all that the run has read: see bench.plan.inputs
              state/            checkpoints (the newest two), final.pt when done, best.pt of scored runs:
                                the snapshot that reports call the best (step, ema, discriminator, method)
              heartbeat.json    the step and who works on it, renewed every few seconds
              cancel            its presence asks whoever works on the run to save and leave it
              train.jsonl       losses and gradient norms
              metrics.jsonl     one line per snapshot and metric
              samples/          a picture per snapshot
              error.txt         the traceback of the last failure
              lock              held by whoever works on the run
              result.json       written last: its presence is what "done" means
<store>/set-aside/<uid>.<time>/ a run folder that has made room for the same run again, with set-aside.json: why, when
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.errors import UserError
from bench.files import atomic
from bench.machine.host import slurm_job
from bench.spec.run import RunSpec
from bench.store.liveness import is_alive

# What the records say. A run whose inputs are no longer those on this machine is stale: see bench.plan.inputs.
Status = Literal["planned", "running", "interrupted", "lost", "failed", "done", "diverged", "stale"]
Cause = Literal["method", "machine"]  # whose failure it was: the run's own code, or what it ran on
SCHEMA = 1
SET_ASIDE = "set-aside"


class RunBusyError(Exception):
    """Another worker holds the run."""


class RunGoneError(OSError):
    """The folder of a run is no longer where it was: somebody has moved or deleted it, or its store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            errno.ENOENT,
            f"run folder {folder} has gone (moved or deleted?) and is not made anew; with the store's new place "
            "as --store or BENCH_STORE the run continues",
        )

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def uid(self) -> str:
        return self.path.name

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def final_weights(self) -> Path:
        return self.state / "final.pt"

    def require(self) -> None:
        """Raises RunGoneError unless the folder is there. Only `Store.open` makes one: where a store has been moved
        away under its workers, no piece of a run is left."""
        if not self.path.is_dir():
            raise RunGoneError(self.path)

    def saved_step(self) -> int | None:
        """The step of the newest checkpoint that is there; None without one."""
        return max(
            (int(path.stem[5:]) for path in self.state.glob("step-*.pt") if path.stem[5:].isdecimal()),
            default=None,
        )

    def result(self) -> dict[str, Any] | None:
        """The result record, or None while the run is not done."""
        return _read_json(self.path / "result.json")

    def heartbeat(self) -> dict[str, Any] | None:
        """Who last worked on the run, at which step."""
        return _read_json(self.path / "heartbeat.json")

    def spec(self) -> RunSpec:
        """The spec as recorded; UserError if the folder has none."""
        value = _read_json(self.path / "spec.json")
        if value is None:
            raise UserError(f"{self.path} is not a run folder: it has no readable spec.json")
        try:
            return RunSpec.model_validate(value)
        except ValidationError as error:
            raise UserError(
                f"{self.path / 'spec.json'} is not a run's spec ({error.errors()[0]['msg']}); "
                "move the run folder away and run again"
            ) from error

    def inputs(self) -> dict[str, Any] | None:
        """What the run was made from; None for a run from before inputs were recorded."""
        return _read_json(self.path / "inputs.json")

    def write_inputs(self, value: dict[str, Any]) -> None:
        """Record what the run is made from."""
        self._write_json("inputs.json", value)

    def has_progress(self) -> bool:
        """Whether anything was trained that a next start would go on from."""
        return (self.path / "result.json").exists() or any(self.state.glob("step-*.pt"))

    def status(self) -> Status:
        """What the records say; `lost` is a worker that stopped without a word. Never "stale" (plan/inputs.py)."""
        if (result := self.result()) is not None:
            return "diverged" if result["diverged_at"] is not None else "done"
        beat = self.heartbeat()
        if beat is not None and beat["state"] == "running":
            return "running" if is_alive(beat) else "lost"
        if (self.path / "error.txt").exists():
            return "failed"
        return "interrupted" if beat is not None else "planned"

    def error(self) -> str | None:
        """The last line of the last failure; that the folder has gone, where it has."""
        if not self.path.is_dir():
            return str(RunGoneError(self.path))
        path = self.path / "error.txt"
        lines = path.read_text().strip().splitlines() if path.exists() else []
        return lines[-1] if lines else None

    def cause(self) -> Cause | None:
        """Whose the last failure was; None while there is none."""
        if not (self.path / "error.txt").exists():
            return None
        return (self.heartbeat() or {}).get("cause", "method")

    def beat(
        self,
        state: Literal["running", "stopped", "done"],
        step: int,
        steps: int,
        rate: float | None,
        **more: Any,
    ) -> None:
        """Renew the heartbeat. Rate in steps per second; `more` is kept as it is."""
        who = {"host": socket.gethostname(), "pid": os.getpid(), "job": slurm_job()}
        value = {**who, "state": state, "step": step, "steps": steps, "rate": rate, "time": time.time()}
        self._write_json("heartbeat.json", {**value, **more})

    def request_stop(self) -> None:
        """Ask whoever works on the run, or is about to, to save and leave it (`bench cancel`)."""
        self._write_text("cancel", "")

    def stop_requested(self) -> bool:
        """Whether `ask_to_stop` has been called since the run was last handed out."""
        return (self.path / "cancel").exists()

    def mark_queued(self) -> None:
        """The run is wanted (again): an earlier request to stop it, or failure, is over."""
        for name in ("cancel", "error.txt"):
            (self.path / name).unlink(missing_ok=True)

    def add_provenance(self, entry: dict[str, Any]) -> None:
        """Append the record of one start."""
        name = "provenance.json"
        self._write_json(name, [*(_read_json(self.path / name) or []), entry])

    def begin(self, provenance: dict[str, Any]) -> None:
        """Record one start: its provenance and a first heartbeat; the last failure and leftovers go.

        Leftovers are half-written temporary files of a killed worker. Call it under the lease only.
        """
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        (self.path / "error.txt").unlink(missing_ok=True)
        self.add_provenance(provenance)
        self.beat("running", 0, 0, None)

    def fail(self, reason: str, cause: Cause = "method") -> None:
        """Record a failure: its text, whose last line is what people are shown, and a last heartbeat."""
        self._write_text("error.txt", reason.rstrip() + "\n")
        self.beat("stopped", 0, 0, None, cause=cause)

    def append(self, name: Literal["train.jsonl", "metrics.jsonl"], records: list[dict[str, Any]]) -> None:
        """Append lines; a torn last line (a kill in mid-write) is cut off by `rewind`."""
        self.require()
        with (self.path / name).open("a") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Drop every line after `step`: what follows will be computed again, identically."""
        for name in ("train.jsonl", "metrics.jsonl"):
            path = self.path / name
            if path.exists():
                kept = [line for line in read_lines(path) if line["step"] <= step]
                self._write_text(name, "".join(json.dumps(line) + "\n" for line in kept))

    def metrics(self) -> list[dict[str, Any]]:
        """All scores so far."""
        return list(read_lines(self.path / "metrics.jsonl"))

    def read_log(self) -> list[dict[str, Any]]:
        """The losses and gradient norms so far."""
        return list(read_lines(self.path / "train.jsonl"))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result record: from now on the run is done."""
        self._write_json("result.json", {"schema": SCHEMA, "uid": self.uid, **result})
        (self.path / "error.txt").unlink(missing_ok=True)

    def _write_json(self, name: str, value: Any) -> None:
        self.require()
        atomic.write_json(self.path / name, value, inside=self.path)

    def _write_text(self, name: str, text: str) -> None:
        self.require()
        atomic.write_text(self.path / name, text, inside=self.path)

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the run. Raises RunBusyError while another worker has it, RunGoneError where there is none.

        The lock is the kernel's and dies with its process, so a killed worker leaves nothing to clean up; a
        fresh heartbeat of another host guards file systems whose locks do not reach across hosts.
        """
        self.require()
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunBusyError(self.uid) from error
            if not _still_at(self.path / "lock", file.fileno()):
                raise RunBusyError(self.uid)  # the folder has just been set aside: this lock guards nothing
            beat = self.heartbeat() or {"state": "none"}
            if beat["state"] == "running" and beat["host"] != socket.gethostname() and is_alive(beat):
                raise RunBusyError(self.uid)
            yield


class Store:
    """A folder of run folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, uid: str) -> RunFolder:
        return RunFolder(self.root / uid)

    def open(self, spec: RunSpec) -> RunFolder:
        """The folder of a spec, made if need be. Raises UserError if it holds another spec."""
        folder = self.folder(spec.uid)
        recorded = folder.path / "spec.json"
        if recorded.exists():
            if folder.spec().canonical() != spec.canonical():
                raise UserError(
                    f"{recorded} is not the spec of this run; move the folder away and start again"
                )
        else:
            atomic.write_json(recorded, spec.model_dump(mode="json"))
        return folder

    def set_aside(self, uid: str, why: str) -> Path:
        """Move a run's folder out of the way, whole, so that the run can be trained anew; returns its new place.

        It goes to <store>/set-aside/<uid>.<time>, with `why` in its set-aside.json; nothing is ever deleted or
        overwritten. Raises UserError where there is no such run, and where somebody is at work on it.
        """
        folder = self.folder(uid)
        if not (folder.path / "spec.json").exists():
            raise UserError(f"run '{uid}' is not in {self.root}: there is nothing to set aside")
        try:
            with folder.lease():
                now = time.time()
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
                name, number = f"{uid}.{stamp}", 1
                while (self.root / SET_ASIDE / name).exists():
                    number += 1
                    name = f"{uid}.{stamp}-{number}"
                place = self.root / SET_ASIDE / name
                place.parent.mkdir(exist_ok=True)
                atomic.write_json(folder.path / "set-aside.json", {"why": why, "time": now})
                folder.path.rename(place)
        except RunBusyError as error:
            raise UserError(f"run '{uid}' is at work; `bench cancel {uid}` stops it") from error
        return place

    def __iter__(self) -> Iterator[RunFolder]:
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if (path / "spec.json").is_file():
                    yield RunFolder(path)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a JSON-lines file; stops at a torn line."""
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def _still_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that lies at `path` now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: is not readable JSON ({error}); move the run folder away and run again"
        ) from error
