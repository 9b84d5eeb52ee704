"""What the store knows of planned runs, looked up once for the plans of many tables."""

from __future__ import annotations

from bench.plan.inputs import Machine
from bench.plan.schedule import PlannedRun
from bench.store.runs import Cause, Status, Store


class StoreView:
    """A store that is looked through once, for the plans of many tables."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._machine = Machine(store)
        self._stored = {*store.uids()}
        self._known: dict[str, tuple[Status, Cause | None, tuple[str, ...], tuple[str, ...]]] = {}

    def look_up(self, run: PlannedRun) -> None:
        """Fill in what the store knows of a run, and whether its inputs are still those of this machine."""
        if run.uid not in self._stored:
            return
        if run.uid not in self._known:
            folder = self.store.folder(run.uid)
            status = self._machine.status(folder)
            cause = folder.cause() if status == "failed" else None
            changes = tuple(self._machine.changes(folder)) if status == "stale" else ()
            self._known[run.uid] = status, cause, changes, tuple(self._machine.edited(folder))
        run.status, run.cause, run.changes, run.edited = self._known[run.uid]
