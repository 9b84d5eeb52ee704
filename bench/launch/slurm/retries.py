"""Runs whose jobs ran out of memory or time are submitted again with more of it, at most so often as a profile says.

`bench submit` does it, and by itself a small job that starts when all jobs of a submission have ended (RetryJob).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.errors import UserError
from bench.launch.progress import counted
from bench.launch.slurm.causes import WORDS, Cause, cause
from bench.launch.slurm.limits import check_against_cluster, max_array_size
from bench.launch.slurm.packing import Array
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.records import RetryRecord, Submission, one_at_a_time, submissions
from bench.launch.slurm.status import IN_HAND, Survey
from bench.launch.slurm.submit import Request, arrays_of, our_environment, submit, submit_after
from bench.plan.estimate import Estimates
from bench.plan.schedule import PlannedRun
from bench.plugins import load_plugin
from bench.store.runs import Store

Say = Callable[[str], None]
Queued = Callable[[str], str | None]


def split(request: Request, survey: Survey, say: Say, *, asked: bool = False) -> list[Request]:
    """The request in parts by what the runs' last jobs lacked; those that lacked something first, with more of it.

    asked: whether the user has asked for failed or lost runs (--retry), who may then go on beyond the profile's number
    of retries. A profile of 0 retries leaves the request as it is. `say` is told what grows and what is given up.
    """
    if not request.profile.retries:
        return [request]
    parts: dict[RetryRecord | None, Request] = {}
    refusals: dict[RetryRecord | None, str | None] = {None: None}
    gone: set[str] = set()
    for run in request.runs:
        what = cause(survey, run.uid)
        profile, record = (request.profile, None) if what is None else grown(request.profile, what, survey, run.uid)
        if record is not None and record not in refusals:
            refusals[record] = _refusal(profile, record, asked)
        why = refusals[record]
        if why is not None or gone & {*run.needs}:
            gone.add(run.uid)
            say(f"given up: {run.label}: {why or 'its source is given up'}")
            continue
        part = parts.setdefault(record, replace(request, runs=[], profile=profile, retry=record))
        part.runs.append(run)
    for record, part in parts.items():
        if record is not None:
            say(f"{counted(len(part.runs))} {record}")
    # A run that ran before has its sources: what waits for it comes after
    return sorted(parts.values(), key=lambda part: part.retry is None)


def grown(profile: Profile, what: Cause, survey: Survey, uid: str) -> tuple[Profile, RetryRecord | None]:
    """The profile with more memory or time than the run's last job had, and the record of that.

    A profile that has more by itself, because somebody has raised it since, stays as it is: that is no retry.
    """
    place = survey.places[uid]
    last, earlier = place.array, place.submission.retry
    memory, minutes = last.memory_mb or profile.memory, last.minutes or profile.time
    had = {"memory": memory, "time": minutes}[what]
    asked_for = {"memory": profile.memory, "time": profile.time}[what]
    # Nobody knows what a job had whose memory the site decides
    if had is None or asked_for is None or asked_for > had:
        return profile, None
    more = math.ceil(had * profile.growth)
    unit = {"memory": "MB", "time": "m"}[what]
    record = RetryRecord(cause=what, attempt=1 + (earlier.attempt if earlier is not None else 0), of=profile.retries,
                         before=f"{had}{unit}", now=f"{more}{unit}")  # fmt: skip
    # What an earlier retry has raised stays
    update: dict[str, int | None] = {"memory": memory if profile.memory is None else max(memory or 0, profile.memory),
              "time": max(minutes, profile.time), what: more}  # fmt: skip
    if what == "time" and profile.slice is not None:
        update["slice"] = min(more - 1, math.ceil(profile.slice * profile.growth**record.attempt))
    return profile.model_copy(update=update), record


def _refusal(profile: Profile, record: RetryRecord, asked: bool) -> str | None:
    """Why runs are not submitted again; None where they are."""
    if record.attempt > record.of and not asked:
        return f"{WORDS[record.cause]} again, with {record.before}"
    try:
        check_against_cluster(profile)
    except UserError as error:
        return f"{WORDS[record.cause]} with {record.before}, and {error}"
    return None


def send(parts: list[Request], profile: Profile, store: Store, queued: Queued, say: Say
         ) -> Iterator[tuple[list[Array], Submission]]:  # fmt: skip
    """Submit the parts one after the other, and with each the job that looks at its end; `profile`: the user's own."""
    numbers: dict[str, str] = {}  # uid -> the job that an earlier part has it in

    def job_of(uid: str) -> str | None:
        return numbers.get(uid) or queued(uid)

    largest = max(1, max_array_size())
    for part in parts:
        arrays = arrays_of(part, Estimates.measured(store, part.runs), largest)
        sent = submit(part, store, arrays, job_of)
        for array in sent.arrays:
            numbers.update({uid: str(array.number) for job in array.jobs for uid in job})
        if profile.retries:
            job = RetryJob(
                str(store.root.resolve()), sent.id, profile, part.profile_name, part.plugins, our_environment(part)
            )
            try:
                submit_after(part, store, sent, job)
            except UserError as error:
                say(f"nothing looks for retries when these jobs have ended: {error}")
        yield arrays, sent


@dataclass(frozen=True)
class RetryJob:
    """The job that looks, when all jobs of a submission have ended, which of its runs ran out of memory or time."""

    store: str
    submission: str
    profile: Profile  # as the user gave it
    profile_name: str
    plugins: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self) -> list[str]:
        """Submit what is to be tried again; returns the ids of the new submissions."""
        os.environ.update(self.environment)
        for plugin in self.plugins:
            load_plugin(plugin)
        store = Store(Path(self.store))
        with one_at_a_time(store):
            records = submissions(store)
            (record,) = [one for one in records if one.id == self.submission]
            survey = Survey.of(store, records, list(record.labels))
            if survey.silent is not None:
                print(f"the cluster does not answer ({survey.silent}); bench submit tries again", flush=True)
                return []
            request = Request(record.table, record.scale, lacking(survey, record.labels), self.profile,
                              self.profile_name, self.plugins)  # fmt: skip
            parts = split(request, survey, _print) if request.runs else []
            return [sent.id for _, sent in send(parts, self.profile, store, lambda uid: None, _print)]


def lacking(survey: Survey, labels: dict[str, str]) -> list[PlannedRun]:
    """Of a submission's runs those that ran out of something, and what waited for them; sources first."""
    found: dict[str, PlannedRun] = {}
    for uid, label in labels.items():
        folder = survey.store.folder(uid)
        spec = folder.spec()
        needs = tuple(source.uid for source in spec.run_sources.values())
        if survey.status_of(uid, label).state in (*IN_HAND, "done", "diverged", "cancelled"):
            continue
        if cause(survey, uid) is not None or found.keys() & {*needs}:
            found[uid] = PlannedRun(spec, needs=needs, status=folder.status(), title=label)
    return list(found.values())


def _print(text: str) -> None:
    print(text, flush=True)
