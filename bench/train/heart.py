"""The heartbeat of a running worker: a thread that renews heartbeat.json while a step or a scoring takes its time."""

from __future__ import annotations

import threading
import time
from typing import Literal

from bench.store import HEARTBEAT_SECONDS, RunFolder


class Heart:
    """Beats from entry to exit; at exit it records `state`, which is "stopped" unless the run says otherwise."""

    def __init__(self, folder: RunFolder, steps: int) -> None:
        self.folder, self.steps = folder, steps
        self.step = 0
        self.state: Literal["stopped", "done"] = "stopped"
        self._first: tuple[float, int] | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heart:
        self.folder.beat("running", self.step, self.steps, None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self.folder.result() is None:
            self.folder.beat(self.state, self.step, self.steps, None)

    def _beat(self) -> None:
        while not self._end.wait(HEARTBEAT_SECONDS):
            self.folder.beat("running", self.step, self.steps, self._rate())

    def _rate(self) -> float | None:
        """Steps per second since the first beat that saw a step."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self.step) if self.step else None
            return None
        return (self.step - self._first[1]) / (now - self._first[0])
