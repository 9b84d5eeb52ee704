"""Why a run is not done although its job has ended, as far as more memory or more time would help.

An error of the run's own code is no such cause: it would come again.
"""

from __future__ import annotations

from typing import Literal

from bench.launch.slurm.commands import ending_in_log
from bench.launch.slurm.status import Survey

Cause = Literal["memory", "time"]
CAUSES: dict[str, Cause] = {"OUT_OF_MEMORY": "memory", "TIMEOUT": "time", "DEADLINE": "time"}
WORDS: dict[Cause, str] = {"memory": "out of memory", "time": "out of time"}


def cause(survey: Survey, uid: str) -> Cause | None:
    """What the run's last job ran out of; None for a run that is over, failed by itself, or is in the queue."""
    folder, place = survey.store.folder(uid), survey.places.get(uid)
    status = folder.status()
    if place is None or place.job is None or survey.silent is not None or survey.task(uid) is not None:
        return None
    if status in ("done", "diverged", "running") or folder.stop_requested():
        return None
    if status == "failed" and folder.cause() == "method":
        return None
    ending, _ = survey.ending(place)
    if ending == "COMPLETED" and (log := place.log(survey.store)) is not None:
        ending = ending_in_log(log) or ending  # a job that made no step within its time ends by itself
    return CAUSES.get(ending)
