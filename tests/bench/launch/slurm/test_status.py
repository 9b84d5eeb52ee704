"""Where runs stand: every pairing of what the store has recorded with what the cluster says.

The cluster's commands are scripts here that print what a real squeue and sacct (22.05) printed; tests/slurm does the
same against the daemons.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import time

import pytest
from rich.console import Console

from bench.cli.status_lines import lines, picture
from bench.errors import UserError
from bench.launch.slurm.cancel import cancel_runs
from bench.launch.slurm.commands import ClusterError, Task, ending_in_log, queue, run_command
from bench.launch.slurm.records import ArrayRecord, Submission, folder_of, places, save, submissions
from bench.launch.slurm.status import RunStatus, Survey
from bench.store.liveness import STALE_SECONDS
from bench.store.runs import Store

NO_ACCOUNTS = "echo 'Slurm accounting storage is disabled' >&2; exit 1"


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Give squeue and sacct their words."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def command(name, script):
        (folder / name).write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/calls\n{script}\n')
        (folder / name).chmod(0o755)

    command("squeue", "true")
    command("sacct", NO_ACCOUNTS)
    return command


@pytest.fixture
def submitted(store_root, tiny_spec):
    """Three runs: two in job 12_0, one in 12_1."""
    store = Store(store_root)
    specs = [tiny_spec(seed=seed) for seed in range(3)]
    for spec in specs:
        store.open(spec)
    uids = [spec.uid for spec in specs]
    array = ArrayRecord(name="bench-x-0", jobs=((uids[0], uids[1]), (uids[2],)), number="12")
    record = Submission(
        id="x", table="t", scale="smoke", profile="p", user="u", host="h", time=1.0, commit="c", arrays=(array,),
        labels={uid: f"run {number}" for number, uid in enumerate(uids)},
    )  # fmt: skip
    save(store, record)
    return store, uids


def squeue(says, *tasks):
    lines = "\n".join("|".join(task) for task in tasks)
    says("squeue", f"cat <<'END'\n{lines}\nEND")


def words(store, uids):
    survey = Survey.of(store, submissions(store), uids)
    return [(one.state, one.detail) for one in (survey.status_of(uid, uid) for uid in uids)]


def beat(folder, **changes):
    """A heartbeat of another host, as a cluster's node writes it, and the checkpoint of that step."""
    folder.state.mkdir(exist_ok=True)
    (folder.state / "step-00000030.pt").touch()
    value = {"host": "n7", "pid": 1, "job": "12_0", "state": "running", "step": 30, "steps": 60, "rate": 2.0}
    (folder.path / "heartbeat.json").write_text(json.dumps({**value, "time": time.time(), **changes}))


def test_queued_and_running(says, submitted):
    store, uids = submitted
    squeue(
        says,
        ("12_0", "bench-x-0", "RUNNING", "None", "n7"),
        ("12_1", "bench-x-0", "PENDING", "Resources", ""),
    )
    beat(store.folder(uids[0]))
    assert words(store, uids) == [
        ("running", ""),
        ("queued", "in job 12_0, which is at work"),
        ("queued", "job 12_1: waits for a free node"),
    ]
    survey = Survey.of(store, submissions(store), uids)
    first = survey.status_of(uids[0], "")
    assert (first.step, first.steps, first.node, first.seconds_left) == (30, 60, "n7", 15.0)


def test_requeued_is_told_from_queued(says, submitted):
    store, uids = submitted
    squeue(says, ("12_0", "bench-x-0", "PENDING", "BeginTime", ""))
    beat(store.folder(uids[0]), state="stopped")
    found = words(store, uids[:2])
    assert found[0][0] == "requeued" and "wait before it starts again" in found[0][1]
    assert found[1][0] == "queued", "the job was requeued before it came to this run"
    beat(store.folder(uids[0]))  # a node that failed: the last heartbeat still says running
    assert words(store, uids[:1])[0][0] == "requeued"


def test_held_jobs(says, submitted):
    store, uids = submitted
    squeue(says, ("12_1", "bench-x-0", "PENDING", "launch failed requeued held", ""))
    assert words(store, uids[2:])[0][0] == "held"


def test_silence_of_a_running_job(says, submitted):
    store, uids = submitted
    squeue(says, ("12_0", "bench-x-0", "RUNNING", "None", "n7"))
    beat(store.folder(uids[0]), time=time.time() - STALE_SECONDS - 300)
    word, detail = words(store, uids)[0]
    assert word == "running" and "no sign of life" in detail


@pytest.mark.parametrize(
    ("log", "word", "detail"),
    [
        ("slurmstepd: error: *** STEP 12.0 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***", "lost", "TIMEOUT"),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01 DUE TO NODE FAILURE ***", "lost", "NODE_FAIL"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=12.0", "lost", "OUT_OF_MEMORY"),
        ("srun: error: n1: task 0: Out Of Memory", "lost", "OUT_OF_MEMORY"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "lost", "UNKNOWN"),  # the card's
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***", "cancelled", "was cancelled"),
        ("srun: error: n1: task 0: Killed", "lost", "UNKNOWN"),
    ],
)  # fmt: skip
def test_a_job_that_squeue_has_forgotten_is_explained_by_its_log(says, submitted, log, word, detail):
    store, uids = submitted
    path = folder_of(store, "x") / "12_0_0_log.out"
    earlier = "x: *** JOB 12 ON n1 CANCELLED AT 2026 DUE TO JOB REQUEUE ***\nStarting with JobEnvironment(...)\n"
    path.write_text(earlier + log + "\n")
    beat(store.folder(uids[0]))
    found = words(store, uids)[0]
    assert found[0] == word and detail in found[1] and "up to step 30" in found[1]
    assert found[1].endswith("step 30") and words(store, uids)[1][1].endswith("nothing trained yet")


def test_a_checkpoint_is_claimed_only_where_there_is_one(says, submitted):
    store, uids = submitted
    (folder_of(store, "x") / "12_0_0_log.out").write_text("DUE TO TIME LIMIT")
    beat(store.folder(uids[0]))
    (store.folder(uids[0]).state / "step-00000020.pt").touch()
    assert words(store, uids)[0][1].endswith("continues from a checkpoint up to step 30")
    (store.folder(uids[0]).state / "step-00000030.pt").unlink()
    assert words(store, uids)[0][1].endswith("continues from a checkpoint up to step 20")
    (store.folder(uids[0]).state / "step-00000020.pt").unlink()
    assert words(store, uids)[0][1].endswith("trained up to step 30, no checkpoint is left")


def test_a_worker_that_outlives_its_job_is_not_lost(says, submitted):
    """Only the job's own process was killed; the worker is alive on this machine. A dead one's run is lost."""
    store, uids = submitted
    (folder_of(store, "x") / "12_0_0_log.out").write_text("srun: error: n1: task 0: Killed")
    beat(store.folder(uids[0]), host=socket.gethostname(), pid=os.getpid())
    assert words(store, uids)[0] == ("running", "job 12_0 has ended, its worker goes on")
    gone = subprocess.Popen(["true"])
    gone.wait()
    beat(store.folder(uids[0]), host=socket.gethostname(), pid=gone.pid)
    assert words(store, uids)[0][0] == "lost"


def test_sacct_is_believed_before_the_log(says, submitted):
    store, uids = submitted
    says("sacct", "echo '12_0|bench-x-0|OUT_OF_MEMORY|0:125|n7'\necho '12_0.batch|batch|FAILED|1:0|n7'")
    (folder_of(store, "x") / "12_0_0_log.out").write_text("*** JOB 12 ON n1 CANCELLED AT 1 ***")
    assert "OUT_OF_MEMORY" in words(store, uids)[0][1]


def test_a_pending_task_that_was_cancelled_leaves_no_trace(says, submitted):
    store, uids = submitted
    assert words(store, uids[2:])[0] == ("cancelled", "job 12_1 was cancelled; nothing trained yet")


def test_squeue_remembers_the_end_for_a_while(says, submitted):
    store, uids = submitted
    squeue(says, ("12_0", "bench-x-0", "FAILED", "NonZeroExitCode", "n7"))
    beat(store.folder(uids[0]), state="stopped")
    assert words(store, uids)[0] == (
        "interrupted", "job 12_0 ended: FAILED (NonZeroExitCode n7); continues from a checkpoint up to step 30",
    )  # fmt: skip


def test_done_failed_and_asked_to_stop(says, submitted):
    store, uids = submitted
    squeue(says, ("12_0", "bench-x-0", "RUNNING", "None", "n7"))
    store.folder(uids[0]).finish({"diverged_at": None})
    store.folder(uids[1]).fail("ValueError: why")
    store.folder(uids[2]).request_stop()
    assert words(store, uids) == [
        ("done", ""), ("failed", "(method) ValueError: why"), ("cancelled", "nothing trained yet"),
    ]  # fmt: skip
    store.folder(uids[1]).fail("disk", "machine")
    assert words(store, uids)[1] == ("failed", "(machine) disk")


def test_a_failed_source_blocks_what_starts_from_it(says, store_root, tiny_spec):
    store = Store(store_root)
    spec = tiny_spec("transfergan + baseline")
    (source,) = spec.run_sources.values()
    store.open(spec)
    array = ArrayRecord(name="bench-x-0", jobs=((spec.uid,),), number="12")
    save(store, Submission(
        id="x", table="t", scale="smoke", profile="p", user="u", host="h", time=1.0, commit="c", arrays=(array,),
        labels={spec.uid: "run"},
    ))  # fmt: skip
    (folder_of(store, "x") / "12_0_log.out").write_text("done")
    assert words(store, [spec.uid])[0][0] == "lost", "its source may yet come"
    store.open(source).fail("ValueError: why")
    said = f"its source {source.uid} failed; --retry failed begins with it"
    assert words(store, [spec.uid]) == [("blocked", said)]


def test_cancel_takes_whole_jobs_and_marks_the_rest(says, submitted, tmp_path):
    store, uids = submitted
    squeue(says, ("12_0", "bench-x-0", "RUNNING", "None", "n7"), ("12_1", "bench-x-0", "PENDING", "None", ""))
    says("scancel", "true")
    survey = Survey.of(store, submissions(store), uids)
    assert cancel_runs(store, survey, [uids[0], uids[2]]) == ["12_1"], "12_0 also has a run that is not meant"
    assert [store.folder(uid).stop_requested() for uid in uids] == [True, False, True]
    assert cancel_runs(store, survey, uids) == ["12_0", "12_1"]
    says("scancel", "echo 'scancel: error: Access denied' >&2; exit 1")
    with pytest.raises(UserError, match="Access denied; the runs were asked to stop by a mark"):
        cancel_runs(store, survey, uids)


def test_what_is_shown(submitted):
    """What needs eyes stands first; quiet runs are counted; a small terminal says how many it hides."""
    kinds = ["done", "running", "queued", "lost", "failed", "planned"]
    found = [RunStatus(word, f"a · b · {word}", word, step=5, steps=10, rate=0.5) for word in kinds]
    text = lines(found, None, everything=False)
    assert [line.split()[4] for line in text[:-1]] == ["failed", "lost", "running"]
    assert "step 5 of 10, 0.50/s  10 s left" in text[2]
    assert text[-1] == (
        "6 runs: 1 planned, 1 queued, 1 running, 1 lost, 1 failed, 1 done; the runs at work end within 10 s"
    )
    assert len(lines(found, None, everything=True)) == 7
    assert lines(found, "squeue is gone", everything=False)[-1].startswith("the cluster does not answer (squeue is")
    console = Console(width=100, file=io.StringIO())
    console.print(picture(found, None, height=7, everything=True))
    assert "and 5 more" in console.file.getvalue()


def test_a_cluster_that_does_not_answer_is_said(says, submitted):
    store, uids = submitted
    says("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    beat(store.folder(uids[0]))
    survey = Survey.of(store, submissions(store), uids)
    assert "Unable to contact" in survey.silent
    assert survey.status_of(uids[0], "").state == "running", "its heart beats"
    assert "does not answer" in survey.status_of(uids[2], "").detail


def test_one_squeue_call_for_all(says, submitted, tmp_path):
    store, uids = submitted
    squeue(says, ("12_1", "bench-x-0", "RUNNING", "None", "n1"))
    words(store, uids)
    calls = [line for line in (tmp_path / "calls").read_text().splitlines() if "/squeue " in line]
    assert len(calls) == 1 and "--name=bench-x-0" in calls[0]
    assert set(queue(["bench-x-0"])) == {("bench-x-0", 1)} and queue([]) == {}


def test_the_newest_submission_of_a_run_counts(submitted):
    store, uids = submitted
    old = submissions(store)[0]
    array = ArrayRecord(name="bench-z-0", jobs=((uids[2],),), number="99")
    save(store, old.model_copy(update={"id": "z", "time": 2.0, "arrays": (array,)}))
    assert places(submissions(store))[uids[2]].job == "99"
    assert places(submissions(store))[uids[0]].job == "12_0"


def test_states(says, tmp_path):
    assert Task("1", "n", "SUSPENDED").active and Task("1", "n", "A_STATE_OF_2031").active
    assert not Task("1", "n", "CANCELLED by 1000").active and not Task("1", "n", "BOOT_FAIL").active
    assert Task("3_17", "n", "PENDING").index == 17 and Task("3", "n", "PENDING").waits
    assert ending_in_log(tmp_path / "absent") is None
    with pytest.raises(ClusterError, match="is not on this machine"):
        run_command(["squeue-that-is-absent"])
