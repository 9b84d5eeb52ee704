"""Sends runs to a SLURM cluster through submitit: packed into jobs, jobs into arrays, sources before dependants."""

from __future__ import annotations

import io
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import atomic
from bench.launch.slurm.job import START, TableJob
from bench.launch.slurm.packing import Array, pack
from bench.launch.slurm.profile import Profile
from bench.launch.slurm.records import ArrayRecord, RetryRecord, Submission, folder_of, identity, new_id, save
from bench.launch.webhook import VARIABLE
from bench.machine.provenance import commit
from bench.paths import IMPORT_ROOT
from bench.plan.estimate import Estimates
from bench.plan.inputs import Machine
from bench.plan.schedule import PlannedRun
from bench.plugins import plugin_source
from bench.store.runs import Store

# Variables that a new job must not inherit from the job in which it is submitted. SBATCH_* would silently override the
# profile. SLURM_CONF and its like are kept: they tell where the cluster is.
INHERITED = re.compile(r"(SLURM|SLURMD|SRUN|SBATCH|PMI|PMIX|SUBMITIT)_")
MOST_MINUTES_AFTER = 10  # of a job that only looks and submits
KEPT = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT"}


@dataclass(frozen=True)
class Request:
    """The runs to submit, and their profile and plug-ins."""

    table: str
    scale: str
    runs: list[PlannedRun]  # sources before their dependants
    profile: Profile
    profile_name: str
    plugins: tuple[str, ...] = ()
    notify: str | None = None  # the address of a webhook
    retry: RetryRecord | None = None  # where the runs have run out of something


def arrays_of(request: Request, estimates: Estimates, largest_array: int) -> list[Array]:
    """The request's runs as job arrays, in the order of submission.

    Raises UserError for a run that is to be trained by more devices than a job has.
    """
    profile = request.profile
    for run in request.runs:
        if run.gpus > profile.places:
            key = "cpus, nodes" if profile.device == "cpu" else "gres, gpus_per_node, nodes"
            raise UserError(
                f"{run.label}: train.gpus is {run.gpus}, and a job of profile {request.profile_name} works with "
                f"{profile.places} ({key}, workers); set fewer, or ask for more"
            )
    return pack(
        request.runs,
        seconds=estimates.seconds,
        memory=estimates.memory,
        devices=profile.places,
        nodes=profile.nodes,
        target_seconds=60 * profile.pack,
        memory_mb=profile.memory,
        largest_array=largest_array,
        parallel=profile.parallel,
    )


def script(request: Request, store: Store, submission_id: str, position: int, array: Array, after: list[str]) -> str:
    """The batch script of one array, exactly as sbatch gets it."""
    from submitit.slurm.slurm import _make_sbatch_string

    executor = _parameters(request, submission_id, position, array, after)
    count = len(array.jobs)
    command = f"{request.profile.command()} -u -m submitit.core._submit"
    folder = folder_of(store, submission_id)
    return _make_sbatch_string(
        command=f"{command} {shlex.quote(str(folder))}",
        folder=folder,
        map_count=count if count > 1 else None,
        **executor,
    )


def submit(
    request: Request,
    store: Store,
    arrays: list[Array],
    queued: Callable[[str], str | None],
    submission_id: str | None = None,
) -> Submission:
    """Hand the arrays to sbatch and return at once.

    queued: uid -> the number of a queued job that trains this run outside of the request, or None. Jobs that need the
    run wait for that job. The record is written before the first sbatch and after each. Raises UserError with sbatch's
    message if it refuses; what it had accepted by then stays recorded.
    """
    submission = _record(request, arrays, submission_id or new_id(request.table))
    folder = folder_of(store, submission.id)
    refuse_odd_folder(folder)
    request = replace(request, plugins=_kept_plugins(folder, request.plugins))
    for run in request.runs:
        store.open(run.spec).mark_queued()
    save(store, submission)
    for position, array in enumerate(arrays):
        # Jobs to wait for: earlier arrays of this submission, and jobs of earlier submissions
        numbers = {record.number for at, record in enumerate(submission.arrays) if at in array.after}
        numbers |= {queued(uid) for run in array.runs for uid in run.needs}
        after = sorted((number for number in numbers if number), key=int)
        parameters = _parameters(request, submission.id, position, array, after)
        jobs = [_job(request, store, submission.id, runs) for runs in array.jobs]
        number = _sbatch(request, folder, parameters, jobs)
        # Recorded at once, so that no accepted job is lost if the next sbatch fails
        records = list(submission.arrays)
        records[position] = records[position].model_copy(update={"number": number})
        submission = submission.model_copy(update={"arrays": tuple(records)})
        save(store, submission)
    return submission


def _kept_plugins(folder: Path, plugins: tuple[str, ...]) -> tuple[str, ...]:
    """Copies of the plug-ins for the jobs, so that an edit does not change jobs that wait in the queue."""
    copies = []
    for path in plugins:
        copies.append(folder / "plugins" / Path(path).name)
        atomic.write_bytes(copies[-1], plugin_source(path))
    return tuple(str(copy) for copy in copies)


def refuse_odd_folder(folder: Path) -> None:
    """Raise UserError for a folder with % in its name, which SLURM would expand, or with a line break."""
    if "%" in str(folder) or not str(folder).isprintable():
        raise UserError(f"store {folder}: SLURM cannot write logs to a folder with % or line breaks in its name")


def _record(request: Request, arrays: list[Array], submission_id: str) -> Submission:
    return Submission(
        id=submission_id,
        table=request.table,
        scale=request.scale,
        profile=request.profile_name,
        **identity(),
        time=time.time(),
        commit=commit(),
        arrays=tuple(
            ArrayRecord(
                name=_name(submission_id, at),
                jobs=tuple(tuple(run.uid for run in job) for job in array.jobs),
                memory_mb=array.memory_mb,
                minutes=request.profile.time,
            )
            for at, array in enumerate(arrays)
        ),
        labels={run.uid: run.label for run in request.runs},
        retry=request.retry,
    )


def _name(submission_id: str, position: int) -> str:
    return f"bench-{submission_id}-{position}"


def _parameters(request: Request, submission_id: str, position: int, array: Array, after: list[str]) -> dict[str, Any]:
    parameters = {**request.profile.parameters(), "job_name": _name(submission_id, position)}
    parameters["setup"] = [f'export {START}="$(date +%s)"', *_python_path(request), *parameters["setup"]]
    parameters["array_parallelism"] = array.parallel
    if array.memory_mb is not None:
        parameters["mem"] = f"{array.memory_mb}M"
    if array.exclusive:
        parameters["exclusive"] = True
    if after:
        parameters["dependency"] = ":".join(["afterany", *after])
    return parameters


def _python_path(request: Request) -> list[str]:
    """The line with which the jobs' Python finds this package; none if the profile has its own Python."""
    if "container" in request.profile.model_fields_set or "python" in request.profile.model_fields_set:
        return []
    package = shlex.quote(str(IMPORT_ROOT))
    return [f"export PYTHONPATH={package}${{PYTHONPATH:+:$PYTHONPATH}}"]


def _job(request: Request, store: Store, submission_id: str, runs: list[PlannedRun]) -> TableJob:
    profile = request.profile
    return TableJob(
        uids=tuple(run.uid for run in runs),
        store=str(store.root.resolve()),
        device=profile.device,
        workers=profile.workers,
        runs_per_gpu=profile.runs_per_gpu,
        nodes=profile.nodes,
        step_options=profile.srun_args if profile.nodes > 1 else (),
        seconds=60.0 * profile.time - profile.signal_seconds,
        slice_seconds=None if profile.slice is None else 60.0 * profile.slice,
        requeue=profile.requeue,
        logs=str(folder_of(store, submission_id) / "workers"),
        commit=commit(),
        plugins=request.plugins,
        environment=our_environment(request),
        labels=tuple(run.label for run in runs),
        inputs=_inputs(store, runs),
        gpus={run.uid: run.gpus for run in runs if run.gpus > 1},
    )


def _inputs(store: Store, runs: list[PlannedRun]) -> dict[str, str]:
    """The digests of these runs' present inputs, without their source runs, which may not be trained yet."""
    machine = Machine(store)
    digests: dict[str, str] = {}
    for run in runs:
        digests |= machine.reads(run.spec)
    return {name: digest for name, digest in digests.items() if not name.startswith("run/")}


def submit_after(request: Request, store: Store, submission: Submission, job: Callable[[], Any]) -> str:
    """Hand over one short job that starts when all jobs of a submission have ended, however; returns its number.

    It asks for what the others ask for, as a site may take no other. Raises UserError with sbatch's message.
    """
    numbers = sorted((array.number for array in submission.arrays if array.number), key=int)
    first = Array([[]], request.profile.memory, 0)
    parameters = {**_parameters(request, submission.id, len(submission.arrays), first, numbers), "array_parallelism": 1}
    parameters["time"] = min(parameters["time"], MOST_MINUTES_AFTER)
    return _sbatch(request, folder_of(store, submission.id), parameters, [job])


def our_environment(request: Request) -> dict[str, str]:
    """Where data and weights are, for sites that give a job an empty environment, and whom to notify."""
    from bench.paths import cache_root, weights_root

    named = {name: value for name, value in os.environ.items() if name.startswith("BENCH_")}
    named |= {"BENCH_CACHE": str(cache_root().resolve()), "BENCH_WEIGHTS": str(weights_root().resolve())}
    named.pop(START, None)
    return named | ({} if request.notify is None else {VARIABLE: request.notify})


def _sbatch(request: Request, folder: Path, parameters: dict[str, Any], jobs: Sequence[Callable[[], Any]]) -> str:
    """Submit one array, and return its number. Raises UserError with sbatch's message if it refuses."""
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder.mkdir(parents=True, exist_ok=True)
    with outside_allocation(), redirect_stderr(io.StringIO()):  # submitit prints what its error says again
        try:
            executor = submitit.SlurmExecutor(folder=folder, python=request.profile.command())
            executor.update_parameters(**parameters)
            first = executor.submit_array(list(jobs))[0]
        except (FailedJobError, FailedSubmissionError, RuntimeError) as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"sbatch refused {parameters['job_name']}: {words[-1]}") from error
    return str(first.job_id).partition("_")[0]


@contextmanager
def outside_allocation() -> Iterator[None]:
    """Removes SLURM_* of a surrounding job from the environment inside, which sbatch would pass on to new jobs."""
    before = dict(os.environ)
    for name in before:
        if INHERITED.match(name) and name not in KEPT:
            del os.environ[name]
    os.environ.pop(START, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
