"""Stopping runs that are queued or at work on the cluster, and no others."""

from __future__ import annotations

from bench.errors import UserError
from bench.launch.slurm.commands import ClusterError, run_command
from bench.launch.slurm.status import Survey
from bench.store.runs import Store

AT_ONCE = 200  # job ids on one command line


def cancel_runs(store: Store, survey: Survey, uids: list[str]) -> list[str]:
    """Stop these runs; returns the jobs that were cancelled as a whole.

    Every run gets a mark in its folder, at which its worker saves and leaves it within seconds. A job whose unfinished
    runs are all among these is cancelled by scancel; a job that also has other runs goes on with those. Raises
    UserError where scancel fails.
    """
    meant = set(uids)
    for uid in uids:
        store.folder(uid).request_stop()
    # Jobs that have no other unfinished runs are cancelled as a whole
    jobs = set()
    for uid in uids:
        task, place = survey.task(uid), survey.places.get(uid)
        if task is None or place is None:
            continue
        unfinished = {each for each in place.array.jobs[place.index] if store.folder(each).result() is None}
        if unfinished <= meant:
            jobs.add(task.job)
    cancelled = sorted(jobs)
    try:
        for start in range(0, len(cancelled), AT_ONCE):
            run_command(["scancel", *cancelled[start : start + AT_ONCE]])
    except ClusterError as error:
        raise UserError(f"{error}; the runs were asked to stop by a mark, their jobs are still there") from error
    return cancelled
