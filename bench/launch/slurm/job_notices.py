"""What jobs of the cluster tell a webhook: of runs that fail, and once that all runs of a submission are over."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from bench.launch.local.watcher import Watcher
from bench.launch.notices import Told, command_ended
from bench.launch.slurm.records import Submission
from bench.launch.webhook import VARIABLE, Webhook
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

OVER = ("done", "diverged", "failed")
MARK = "notified"  # in the submission's folder, by the job that told of its end


class JobNotices:
    """Notices of one job. folder: of its submission. Without $BENCH_NOTIFY nobody is told anything."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.submission = _submission(folder)
        address = os.environ.get(VARIABLE)
        known = self.submission
        self.webhook = Webhook(address, lambda text: print(text, flush=True)) if address and known is not None else None

    @property
    def what(self) -> str:
        """What was submitted: "disp/table1 at smoke"."""
        return "" if self.submission is None else f"{self.submission.table} at {self.submission.scale}"

    def watching(self, watcher: Watcher) -> Told:
        """The watcher of a queue, which also tells of failures."""
        return Told(watcher, self.webhook, self.what)

    def close(self) -> None:
        """Tell that the submission is over, if it is and no other job has; wait until all is delivered or given up."""
        if self.webhook is None or self.submission is None:
            return
        uids = [uid for array in self.submission.arrays for job in array.jobs for uid in job]
        states = {uid: self.store.folder(uid).status() for uid in uids}
        if all(state in OVER for state in states.values()) and self._first():
            self.webhook.send(self._ended(self.submission, states))
        self.webhook.close()

    def _ended(self, submission: Submission, states: Mapping[str, str]) -> dict[str, object]:
        specs = {uid: self.store.folder(uid).spec() for uid in states}
        runs = [
            PlannedRun(spec, needs=(), status="done", title=submission.labels.get(uid)) for uid, spec in specs.items()
        ]
        state = "failed" if "failed" in states.values() else "done"
        hours = (time.time() - submission.time) / 3600
        return command_ended(self.what, runs, states, self.store, state, hours)

    def _first(self) -> bool:
        """Whether no other job has told of the end."""
        try:
            (self.folder / MARK).touch(exist_ok=False)
        except OSError:
            return False
        return True


def _submission(folder: Path) -> Submission | None:
    """The record of the submission; None where it cannot be read, which is no reason for a job to fail."""
    try:
        return Submission.model_validate(json.loads((folder / "submission.json").read_text()))
    except (OSError, ValidationError, json.JSONDecodeError):
        return None
