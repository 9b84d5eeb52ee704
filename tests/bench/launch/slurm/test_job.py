"""What a job does when the cluster gives notice: every process of it gets the signal, one of them requeues.

scontrol is a script here that keeps what it was asked; tests/slurm has the real one.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.launch.slurm.job import START, TableJob
from bench.store.runs import Store

CHECKOUT = Path(__file__).resolve().parents[4]
FORKS = '''
import os
import time
from pathlib import Path

from bench.train import Method


class Forks(Method):
    """Its worker forks, as data loaders do; the child waits and then leaves a mark."""

    def prepare(self, ctx):
        marks = Path(os.environ["BENCH_TEST_MARKS"])
        if not (marks / "pid").exists() and os.fork() == 0:
            (marks / "pid").write_text(str(os.getpid()))
            time.sleep(2)
            (marks / "survived").touch()
            os._exit(0)

    def after_step(self, ctx):
        time.sleep(0.05)
        return {}
'''


@pytest.fixture
def job(tiny_spec, load_plugin, store_root, tmp_path, monkeypatch):
    """A function that makes a job of one run of 200 steps."""
    load_plugin(FORKS, "forks.py")
    spec = tiny_spec("forks + baseline", steps=200)
    Store(store_root).open(spec)
    monkeypatch.setenv("BENCH_TEST_MARKS", str(tmp_path))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n. {tmp_path}/answer\n')
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    (tmp_path / "answer").write_text("exit 0\n")

    def make(**changes):
        settings = {
            "uids": (spec.uid,), "store": str(store_root), "device": "cpu", "workers": 1, "seconds": 600.0,
            "slice_seconds": None, "requeue": True, "logs": str(tmp_path / "logs"), "commit": "abc",
            "plugins": (str(tmp_path / "forks.py"),), "labels": ("my row · shapes · seed 0",),
        }  # fmt: skip
        return TableJob(**{**settings, **changes})

    return make


WARM = "from bench.launch.local import template_handle as handle; from warm_template import launch_from; "
WARM += "handle.launch = launch_from({server}); "


@pytest.fixture
def started(tmp_path, store_root, run_server):
    """Start a job as SLURM's step does, in a process group of its own.

    warm: its worker is none of the group, but need not import anything, where a slice must suffice for some steps.
    """

    def start(job, begin=None, warm=False):
        (tmp_path / "job.json").write_text(json.dumps(vars(job)))
        code = "import json, sys; from bench.launch.slurm.job import TableJob as Job; "
        code += WARM.format(server=run_server.pid) if warm else ""
        code += "print(Job(**json.load(open(sys.argv[1])))())"
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        slurm = {"SLURM_JOB_ID": "99", "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "3"}
        return subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "job.json")],
            env={
                **os.environ,
                **slurm,
                START: str(begin or time.time()),
                "PATH": path,
                "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests' / 'helpers'}",
                "BENCH_WORKERS": "fork" if warm else "",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return start


def step_of(store_root):
    return max((run.heartbeat() or {"step": 0})["step"] for run in Store(store_root))


@pytest.mark.slow
def test_the_notice_reaches_all_and_one_requeues(job, started, store_root, tmp_path, wait_until):
    process = started(job())
    wait_until(lambda: step_of(store_root))
    os.killpg(process.pid, signal.SIGUSR2)  # job, worker and the worker's forked child
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "SIGUSR2: 1 run left, requeueing" in out, out
    assert "submitted by code abc, running code" in out
    assert (tmp_path / "asked").read_text() == "requeue 70_3\n", "asked once, by the job alone"
    (run,) = Store(store_root)
    assert run.status() == "interrupted" and 0 < run.heartbeat()["step"] < 200 and run.heartbeat()["job"] == "70_3"
    assert out.count("stopped: my row · shapes · seed 0 (") == out.count("stopped: ") == 1 and "source" not in out
    wait_until((tmp_path / "survived").exists)

    again = started(job(), warm=True)
    out, _ = again.communicate(timeout=300)
    assert f"'{run.uid}': 'done'" in out and run.status() == "done", out
    assert f"done: my row · shapes · seed 0 ({run.uid})" in out
    assert "0 of 1 runs to do" in started(job()).communicate(timeout=300)[0], "what is done is not done again"


@pytest.mark.parametrize(
    ("answer", "changes", "words"),
    [
        ("echo 'Requeue is disabled' >&2; exit 1", {}, "refuses to requeue this job (Requeue is disabled)"),
        ("exit 0", {"requeue": False}, "end of its time: 1 run left; submit again to continue"),
    ],
)
def test_without_requeuing_the_job_says_how_to_go_on(job, started, store_root, tmp_path, answer, changes, words):
    (tmp_path / "answer").write_text(answer + "\n")
    (tmp_path / "pid").touch()  # no fork here
    process = started(job(slice_seconds=8.0, **changes), warm=True)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and words in out, out
    assert (tmp_path / "asked").exists() == (not changes)


def test_a_job_that_makes_no_step_in_its_time_does_not_come_back_for_ever(job, started, tmp_path):
    (tmp_path / "pid").touch()
    out, _ = started(job(seconds=10.0), begin=time.time() - 60).communicate(timeout=300)
    assert "not one step within its time" in out and not (tmp_path / "asked").exists()


def test_a_job_of_older_code_has_no_labels(job, store_root):
    """Its pickle lacks the field: the runs are named by their specs."""
    old = job()
    del old.__dict__["labels"]
    again = pickle.loads(pickle.dumps(old))
    (run,) = again.planned(Store(store_root))
    assert run.label == "forks+baseline · shapes · seed 0" and again.labels == ()


def test_a_job_without_the_gpu_it_was_promised_fails_at_once(job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match="asked for a GPU and sees none"):
        job(device="cuda")()
