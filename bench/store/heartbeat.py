"""The heartbeat of a running worker: a thread renews heartbeat.json, however long a step or a scoring takes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Literal

from bench.machine.gpu_use import gpu_figures
from bench.machine.memory import peak_bytes
from bench.store.liveness import HEARTBEAT_SECONDS
from bench.store.runs import RunFolder


class Heartbeat:
    """A context that beats from entry to exit; at exit it records `state`: "stopped", or "done" if the run set it."""

    def __init__(self, folder: RunFolder, steps: int, step: int = 0) -> None:
        self.folder, self.steps, self.step = folder, steps, step
        self.state: Literal["stopped", "done"] = "stopped"
        self.cancelled = False  # whether somebody has asked for this run to stop (`bench cancel`)
        self._first: tuple[float, int] | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._beat_once("running", None)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self.folder.result() is None:
            self._beat_once(self.state, self._rate())  # a stopped run tells how long others will take

    def _beat(self) -> None:
        while not self._end.wait(HEARTBEAT_SECONDS):
            self._beat_once("running", self._rate())
            self.cancelled = self.cancelled or self.folder.stop_requested()

    def _beat_once(self, state: Literal["running", "stopped", "done"], rate: float | None) -> None:
        """Write one beat. A full disk or a moved store is ignored here: the run fails where it cannot save."""
        with suppress(OSError):
            self.folder.beat(state, self.step, self.steps, rate, memory=peak_bytes(), **gpu_figures())

    def _rate(self) -> float | None:
        """Steps per second since the first beat that saw a step."""
        now = time.monotonic()
        if self._first is None or now <= self._first[0]:
            self._first = self._first or ((now, self.step) if self.step else None)
            return None
        return (self.step - self._first[1]) / (now - self._first[0])
