"""The run store: one folder per run, records that are whole or absent, and one worker per run at a time."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bench.errors import UserError
from bench.files import atomic
from bench.machine.host import slurm_job
from bench.spec.run import RunSpec
from bench.store.layout import HEARTBEAT, RESULT, SET_ASIDE, SPEC, RunPaths, checkpoints
from bench.store.lease import RunBusyError, RunGoneError, lease, require
from bench.store.liveness import is_alive
from bench.store.reading import is_file, read_bytes, read_json, read_lines

# A run is "stale" where its inputs are no longer those on this machine: see bench.plan.inputs.
Status = Literal["planned", "running", "interrupted", "lost", "failed", "done", "diverged", "stale"]
Cause = Literal["method", "machine"]  # of a failure: the run's own code, or the machine it ran on
SCHEMA = 1


class RunFolder(RunPaths):
    """The folder of one run, with its records read and written."""

    def require(self) -> None:
        """Raise RunGoneError unless the folder is there."""
        require(self)

    def saved_step(self) -> int | None:
        """The step of the newest checkpoint that is there; None without one."""
        return max(checkpoints(self.state), default=None)

    def result(self) -> dict[str, Any] | None:
        """The result record, or None while the run is not done."""
        return read_json(self.file(RESULT))

    def heartbeat(self) -> dict[str, Any] | None:
        """Who last worked on the run, at which step."""
        return read_json(self.file(HEARTBEAT))

    def spec(self) -> RunSpec:
        """The spec as recorded; UserError if the folder has none."""
        try:
            return RunSpec.model_validate(self.plain_spec())
        except ValidationError as error:
            raise UserError(
                f"{self.spec_file} is not a run's spec ({error.errors()[0]['msg']}); "
                "move the run folder away and run again"
            ) from error

    def spec_bytes(self) -> bytes:
        """The spec as it is written. Raises OSError where there is none."""
        return read_bytes(self.file(SPEC))

    def plain_spec(self) -> dict[str, Any]:
        """The spec's plain data, not checked: for looking through thousands. UserError if the folder has none."""
        value = read_json(self.spec_file)
        if value is None:
            raise UserError(f"{self.path} is not a run folder: it has no readable spec.json")
        if not isinstance(value, dict):
            raise UserError(f"{self.spec_file} is not a run's spec; move the run folder away and run again")
        return value

    def inputs(self) -> dict[str, Any] | None:
        """What the run was made from; None for a run from before inputs were recorded."""
        return read_json(self.inputs_file)

    def write_inputs(self, value: dict[str, Any]) -> None:
        """Record what the run is made from."""
        self._write_json(self.inputs_file, value)

    def has_progress(self) -> bool:
        """Whether there is a result, or a checkpoint from which the next start would continue."""
        return self.result_file.exists() or bool(checkpoints(self.state))

    def status(self) -> Status:
        """The status by the records; "lost": the worker vanished. Never "stale", which bench.plan.inputs decides."""
        if (result := self.result()) is not None:
            return "diverged" if result["diverged_at"] is not None else "done"
        beat = self.heartbeat()
        if beat is not None and beat["state"] == "running":
            return "running" if is_alive(beat) else "lost"
        if self.error_file.exists():
            return "failed"
        return "interrupted" if beat is not None else "planned"

    def error(self) -> str | None:
        """The last line of the last failure, or a message that the folder has gone; None without either."""
        if not self.path.is_dir():
            return str(RunGoneError(self.path))
        lines = self.error_file.read_text().strip().splitlines() if self.error_file.exists() else []
        return lines[-1] if lines else None

    def cause(self) -> Cause | None:
        """What caused the last failure; None while there is none."""
        if not self.error_file.exists():
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
        """Renew the heartbeat. rate: steps per second; more: further keys, written as they are."""
        who = {"host": socket.gethostname(), "pid": os.getpid(), "job": slurm_job()}
        value = {**who, "state": state, "step": step, "steps": steps, "rate": rate, "time": time.time()}
        self._write_json(self.heartbeat_file, {**value, **more})

    def request_stop(self) -> None:
        """Ask whoever works on the run, or is about to, to save and leave it (`bench cancel`)."""
        self._write_text(self.cancel_file, "")

    def stop_requested(self) -> bool:
        """Whether `request_stop` has been called since the run was last queued."""
        return self.cancel_file.exists()

    def mark_queued(self) -> None:
        """Queue the run (again): an earlier request to stop it, and an earlier failure, are removed."""
        for file in (self.cancel_file, self.error_file):
            file.unlink(missing_ok=True)

    def add_provenance(self, entry: dict[str, Any]) -> None:
        """Append the record of one start."""
        self._write_json(self.provenance_file, [*self.starts(), entry])

    def starts(self) -> list[dict[str, Any]]:
        """The record of each start, oldest first."""
        return read_json(self.provenance_file) or []

    def threads(self) -> int | None:
        """How many threads the last start computed with; None where that is not recorded."""
        return (self.starts() or [{}])[-1].get("threads")

    def begin(self, provenance: dict[str, Any]) -> None:
        """Record one start: its provenance and a first heartbeat; the last failure and leftovers go.

        Leftovers are half-written temporary files of a killed worker. Call it under the lease only.
        """
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self.error_file.unlink(missing_ok=True)
        self.add_provenance(provenance)
        self.beat("running", 0, 0, None)

    def fail(self, reason: str, cause: Cause = "method") -> None:
        """Record a failure: its text, whose last line is what people are shown, and a last heartbeat."""
        self._write_text(self.error_file, reason.rstrip() + "\n")
        self.beat("stopped", 0, 0, None, cause=cause)

    def append(self, log: Path, records: list[dict[str, Any]]) -> None:
        """Append lines to the train log or the metrics log; `rewind` cuts off a line torn by a kill in mid-write."""
        self.require()
        with log.open("a") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Drop every line after `step`: what follows will be computed again, identically."""
        for log in (self.train_log, self.metrics_log):
            if log.exists():
                kept = [line for line in read_lines(log) if line["step"] <= step]
                self._write_text(log, "".join(json.dumps(line) + "\n" for line in kept))

    def metrics(self) -> list[dict[str, Any]]:
        """All scores so far."""
        return list(read_lines(self.metrics_log))

    def read_log(self) -> list[dict[str, Any]]:
        """The losses and gradient norms so far."""
        return list(read_lines(self.train_log))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result record, which makes the run done."""
        self._write_json(self.result_file, {"schema": SCHEMA, "uid": self.uid, **result})
        self.error_file.unlink(missing_ok=True)

    def _write_json(self, file: Path, value: Any) -> None:
        self.require()
        atomic.write_json(file, value, inside=self.path)

    def _write_text(self, file: Path, text: str) -> None:
        self.require()
        atomic.write_text(file, text, inside=self.path)

    def lease(self) -> AbstractContextManager[None]:
        """Hold the run: see bench.store.lease."""
        return lease(self)


class SeenRun(RunFolder):
    """A run folder to look at: its result and inputs are read once, however many things are told of them."""

    @cached_property
    def _result(self) -> dict[str, Any] | None:
        return super().result()

    @cached_property
    def _inputs(self) -> dict[str, Any] | None:
        return super().inputs()

    def result(self) -> dict[str, Any] | None:
        """The result record, or None while the run is not done."""
        return self._result

    def inputs(self) -> dict[str, Any] | None:
        """What the run was made from; None for a run from before inputs were recorded."""
        return self._inputs


class Store:
    """A folder of run folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, uid: str) -> RunFolder:
        """The folder of a run, whether it exists or not."""
        return RunFolder(self.root / uid)

    def open(self, spec: RunSpec) -> RunFolder:
        """The folder of a spec, made if need be. Raises UserError if it holds another spec."""
        folder = self.folder(spec.uid)
        recorded = folder.spec_file
        if recorded.exists():
            if folder.spec().canonical() != spec.canonical():
                raise UserError(f"{recorded} is not the spec of this run; move the folder away and start again")
        else:
            atomic.write_json(recorded, spec.model_dump(mode="json"))
        return folder

    def set_aside(self, uid: str, why: str) -> Path:
        """Move a run's whole folder out of the way, so that the run can be trained anew, and return its new place.

        It goes to <store>/set-aside/<uid>.<time>, with `why` in its set-aside.json; nothing is ever deleted or
        overwritten. Raises UserError if there is no such run, or if a worker is at work on it.
        """
        folder = self.folder(uid)
        if not folder.spec_file.exists():
            raise UserError(f"run '{uid}' is not in {self.root}: there is nothing to set aside")
        try:
            with folder.lease():
                # The place is new: a second folder of the same second gets a number.
                now = time.time()
                stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
                name, number = f"{uid}.{stamp}", 1
                while (self.root / SET_ASIDE / name).exists():
                    number += 1
                    name = f"{uid}.{stamp}-{number}"
                place = self.root / SET_ASIDE / name
                place.parent.mkdir(exist_ok=True)
                atomic.write_json(folder.set_aside_file, {"why": why, "time": now})
                folder.path.rename(place)
        except RunBusyError as error:
            raise UserError(f"run '{uid}' is at work; `bench cancel {uid}` stops it") from error
        return place

    def __iter__(self) -> Iterator[RunFolder]:
        return (RunFolder(self.root / uid) for uid in self.uids())

    def uids(self) -> list[str]:
        """The names of the runs that are there, in order; as text, for a store has thousands."""
        if not self.root.is_dir():
            return []
        with os.scandir(self.root) as entries:
            names = sorted(entry.name for entry in entries)
        root = str(self.root)
        return [name for name in names if is_file(f"{root}/{name}/{SPEC}")]
