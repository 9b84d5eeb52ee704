"""What a webhook is told: that a run has failed, that a command has ended. No paths, no settings, no error texts."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.launch.local.watcher import Watcher
from bench.launch.progress import counted
from bench.launch.webhook import MOST_RUNS, Webhook
from bench.metrics.measures import label as score_label
from bench.plan.schedule import PlannedRun
from bench.store.runs import RunFolder, Store

Message = dict[str, Any]


def run_failed(what: str, run: PlannedRun, hours: float) -> Message:
    """That a run of `what` has failed, after so many hours."""
    return _message("run", what, "failed", hours, label=run.label, uid=run.uid)


def command_ended(what: str, runs: Sequence[PlannedRun], outcomes: Mapping[str, str], store: Store, state: str,
                  hours: float) -> Message:  # fmt: skip
    """That a command which worked on these runs of `what` has ended: "done", "failed" or "stopped"."""
    counts = Counter(outcomes.get(run.uid, "left") for run in runs)
    words = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    if len(runs) != 1:
        return _message("command", what, state, hours, label=f"{counted(len(runs))}: {words}", counts=dict(counts))
    (run,) = runs
    score = _score(store.folder(run.uid))
    return _message("command", what, state, hours, label=run.label, uid=run.uid, score=score, counts=dict(counts))


def _message(event: str, what: str, state: str, hours: float, *, label: str, uid: str | None = None,
             score: Message | None = None, counts: dict[str, int] | None = None) -> Message:  # fmt: skip
    """The message; `text` is what Slack and ntfy's templates show, `content` the same for Discord."""
    host = socket.gethostname()
    told = f", {score['name']} {score['value']:.4g}" if score else ""
    text = f"bench: {what}: {label} {state}{told} after {hours:.2f} h on {host}"
    return {
        "text": text, "content": text, "event": event, "id": what, "label": label, "uid": uid, "state": state,
        "score": score, "counts": counts, "hours": round(hours, 4), "host": host,
    }  # fmt: skip


def _score(folder: RunFolder) -> Message | None:
    """The last value of the first score of a run's protocol; None where it has none."""
    lines = [line for line in folder.metrics() if line["value"] is not None]
    if not lines:
        return None
    name, extractor = lines[0]["metric"], lines[0]["extractor"]
    last = [line for line in lines if (line["metric"], line["extractor"]) == (name, extractor)][-1]
    return {"name": score_label(last["metric"], last["extractor"]), "value": last["value"], "step": last["step"]}


@dataclass
class Told:
    """A watcher that also tells a webhook of runs that fail, and otherwise does what another one does."""

    watcher: Watcher
    webhook: Webhook | None
    what: str
    begun: dict[str, float] = field(default_factory=dict)
    told: int = 0

    def started(self, run: PlannedRun) -> None:
        """Note when."""
        self.begun[run.uid] = time.monotonic()
        self.watcher.started(run)

    def stepped(self, run: PlannedRun, step: int, steps: int) -> None:
        """Pass it on."""
        self.watcher.stepped(run, step, steps)

    def ended(self, run: PlannedRun, outcome: str) -> None:
        """Tell of a failure; of the first MOST_RUNS, as a table can fail as a whole."""
        self.watcher.ended(run, outcome)
        if outcome == "failed" and self.webhook is not None and self.told < MOST_RUNS:
            self.told += 1
            now = time.monotonic()
            self.webhook.send(run_failed(self.what, run, (now - self.begun.get(run.uid, now)) / 3600))

    def said(self, text: str) -> None:
        """Pass it on."""
        self.watcher.said(text)

    def tick(self) -> None:
        """Pass it on."""
        self.watcher.tick()
