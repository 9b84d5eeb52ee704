"""The record of one `bench submit`: which runs went into which jobs.

<store>/slurm/<id>/submission.json   written before sbatch is called, so that no job is ever without a record
                  *.sh, *.pkl         what submitit gives to the jobs
                  *_log.out           what the jobs print
                  plugins/            the plug-ins as they were submitted, which the jobs use
                  workers/<job>/      what its worker processes print

A job is found in the queue by its name, `bench-<id>-<array>`, and its index. Its number is recorded once sbatch has
returned it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from bench.errors import UserError
from bench.files import atomic
from bench.spec.run import Frozen
from bench.store.runs import Store


class RetryRecord(Frozen):
    """Why runs were submitted again: what their last jobs ran out of, and what they had and have of it."""

    cause: Literal["memory", "time"]
    attempt: int
    of: int  # as many as the profile allows
    before: str
    now: str

    def __str__(self) -> str:
        """For example "out of memory with 1024MB: retry 1 of 2, with 2048MB"."""
        return f"out of {self.cause} with {self.before}: retry {self.attempt} of {self.of}, with {self.now}"


class ArrayRecord(Frozen):
    """One job array: the runs of each of its jobs, its number (None until sbatch has answered), and what it has."""

    name: str
    jobs: tuple[tuple[str, ...], ...]
    number: str | None = None
    memory_mb: int | None = None  # of a job; None where the site decides, and in records of older code
    minutes: int | None = None  # its time limit; None in records of older code

    def job_id(self, index: int) -> str | None:
        """The job's id as squeue prints it: an array of one is a plain job."""
        if self.number is None:
            return None
        return self.number if len(self.jobs) == 1 else f"{self.number}_{index}"


class Submission(Frozen):
    """One call of `bench submit`."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    table: str
    scale: str
    profile: str
    user: str
    host: str
    time: float
    commit: str
    arrays: tuple[ArrayRecord, ...]
    labels: dict[str, str]  # uid -> what the run is, for people
    retry: RetryRecord | None = None  # where its runs had run out of something


@dataclass(frozen=True)
class Place:
    """Where a run was put: a submission's array and the job in it."""

    submission: Submission
    array: ArrayRecord
    index: int

    @property
    def job(self) -> str | None:
        """The job's id, NUMBER or NUMBER_INDEX; None until sbatch has given it."""
        return self.array.job_id(self.index)

    def log(self, store: Store) -> Path | None:
        """The file of the job's output, as submitit names it; None until the job has a number."""
        return None if self.job is None else folder_of(store, self.submission.id) / f"{self.job}_0_log.out"

    def logs(self, store: Store) -> list[Path]:
        """The files with the output of the job and of its workers; none before it starts."""
        log = self.log(store)
        if log is None or not log.exists():
            return []
        return [log, *sorted((log.parent / "workers" / str(self.job)).glob("*.log"))]


def new_id(table: str) -> str:
    """A name for a submission: time, table, and four hex digits that tell two of the same second apart."""
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime())
    return f"{when}-{table.replace('/', '-')}-{os.urandom(2).hex()}"


def folder_of(store: Store, submission_id: str) -> Path:
    """The submission's folder; the store's root is made absolute because jobs start elsewhere."""
    return store.root.resolve() / "slurm" / submission_id


def save(store: Store, submission: Submission) -> None:
    """Write or rewrite the record."""
    atomic.write_json(folder_of(store, submission.id) / "submission.json", submission.model_dump(mode="json"))


def submissions(store: Store) -> list[Submission]:
    """All submissions of a store, oldest first. Raises UserError for a record that is not readable."""
    records = []
    for path in (store.root / "slurm").glob("*/submission.json"):
        try:
            records.append(Submission.model_validate(json.loads(path.read_text())))
        except (ValidationError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: is not a record of a submission; move its folder away") from error
    return sorted(records, key=lambda record: (record.time, record.id))


def places(records: list[Submission]) -> dict[str, Place]:
    """uid -> the place of the run in the last submission that has it."""
    return {
        uid: Place(submission, array, index)
        for submission in records
        for array in submission.arrays
        for index, uids in enumerate(array.jobs)
        for uid in uids
    }


@contextmanager
def one_at_a_time(store: Store) -> Iterator[None]:
    """Holds the store's lock, so that a second submission waits for the first and sees what that has queued."""
    folder = store.root / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def identity() -> dict[str, str]:
    """The user and host of a submission."""
    import getpass

    return {"user": getpass.getuser(), "host": socket.gethostname()}
