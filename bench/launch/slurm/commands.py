"""The state of jobs as the cluster has it, from squeue, sacct and the jobs' logs.

squeue works on every cluster, but forgets ended jobs. For those sacct is asked, and where a cluster has no accounting,
the job's log. A state that is not known here is passed on as it is.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
AT_WORK = {
    "RUNNING",
    "CONFIGURING",
    "COMPLETING",
    "SUSPENDED",
    "STOPPED",
    "SIGNALING",
    "STAGE_OUT",
    "RESIZING",
}
SECONDS = 60.0  # a controller that takes longer counts as away
# What slurmstepd writes into a job's log when it ends the job, and the state that it means
# Where slurmd itself looks at the memory of jobs: SLURM calls their state FAILED or CANCELLED
OVER_MEMORY = re.compile(r"^slurmstepd\S*: error: .*exceeded .*memory limit", re.IGNORECASE | re.MULTILINE)
LOG_ENDINGS = (
    (OVER_MEMORY, "OUT_OF_MEMORY"),
    (re.compile(r"DUE TO TIME LIMIT|not one step within its time"), "TIMEOUT"),
    (re.compile(r"DUE TO PREEMPTION"), "PREEMPTED"),
    (re.compile(r"DUE TO NODE FAILURE"), "NODE_FAIL"),
    # Only SLURM's own lines: a GPU that is full says "out of memory" too, and more main memory does not help it
    (re.compile(r"^(slurmstepd|srun)\S* .*(oom.kill|out.of.memory)", re.IGNORECASE | re.MULTILINE), "OUT_OF_MEMORY"),
    (re.compile(r"(JOB|STEP) \S+ ON \S+ CANCELLED"), "CANCELLED"),
)
LOG_TAIL = 20_000  # characters of a log that are searched for its ending


class ClusterError(Exception):
    """The cluster did not answer; the text has the command and what came back."""


@dataclass(frozen=True)
class Task:
    """One job, or one element of a job array."""

    job: str  # 123, or 123_4 in an array
    name: str
    state: str  # SLURM's word
    reason: str = ""
    node: str = ""

    @property
    def index(self) -> int:
        """Which element of its array; 0 for a job without one."""
        return int(self.job.partition("_")[2] or 0)

    @property
    def waits(self) -> bool:
        """In the queue, not started (or not started again)."""
        return self.state in WAITING

    @property
    def active(self) -> bool:
        """In the queue or at work, so that it may still do something; unknown states count as active."""
        return self.waits or self.state in AT_WORK or not _is_end(self.state)


ENDED = {
    "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL",
    "DEADLINE", "REVOKED",
}  # fmt: skip


def _is_end(state: str) -> bool:
    return state.split()[0] in ENDED if state else False


def run_command(command: list[str]) -> str:
    """The output of a cluster command. Raises ClusterError if it is missing, takes too long or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{command[0]} did not answer within {SECONDS:.0f} s") from error
    if done.returncode:
        output = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise ClusterError(f"{command[0]}: {output.splitlines()[-1]}")
    return done.stdout


def queue(names: Iterable[str]) -> dict[tuple[str, int], Task]:
    """The tasks of jobs with these names, by (name, index), from one squeue call.

    Ended tasks are included as long as squeue remembers them. A task that was requeued is listed once, with its present
    state. Raises ClusterError.
    """
    listed = sorted(set(names))
    if not listed:
        return {}
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={','.join(listed)}"]
    tasks: dict[tuple[str, int], Task] = {}
    for line in run_command([*command, "--format=%i|%j|%T|%r|%N"]).splitlines():
        pieces = line.strip().split("|")
        if len(pieces) == 5 and re.fullmatch(r"\d+(_\d+)?", pieces[0]):
            task = Task(*pieces)
            tasks[task.name, task.index] = task
    return tasks


def accounting(jobs: Iterable[str]) -> dict[str, Task]:
    """The tasks of jobs from sacct, by job id (123_4 in an array); empty if the cluster has no accounting."""
    numbers = sorted({job.partition("_")[0] for job in jobs})
    if not numbers:
        return {}
    command = [
        "sacct",
        "-n",
        "-P",
        "-X",
        "-j",
        ",".join(numbers),
        "-o",
        "JobID,JobName,State,ExitCode,NodeList",
    ]
    try:
        text = run_command(command)
    except ClusterError:
        return {}  # without slurmdbd the job's log is read instead
    # A line a task; steps of a job have other ids and are left out
    tasks = {}
    for line in text.splitlines():
        pieces = line.split("|")
        if len(pieces) == 5 and re.fullmatch(r"\d+(_\d+)?", pieces[0]):
            state = pieces[2].split()[0] if pieces[2] else ""
            failure = f"exit status {pieces[3]}" if state == "FAILED" else ""
            tasks[pieces[0]] = Task(pieces[0], pieces[1], state, failure, pieces[4])
    return tasks


def killed_for_memory(log: Path) -> bool:
    """Whether SLURM has ended the job of a log because of its memory, whatever it calls the job's state."""
    return OVER_MEMORY.search(_last_start(log)) is not None


def ending_in_log(log: Path) -> str | None:
    """The state in which a job ended according to its own log; None if the log does not have it.

    A requeued job appends to its log, so only what follows the last start is searched.
    """
    last = _last_start(log)
    return next((state for pattern, state in LOG_ENDINGS if pattern.search(last)), None)


def _last_start(log: Path) -> str:
    """The end of a log, after the last start of its job; "" where there is none."""
    try:
        text = log.read_text(errors="replace")[-LOG_TAIL:]
    except OSError:
        return ""
    return text.rpartition("Starting with JobEnvironment")[2]
