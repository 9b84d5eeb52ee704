"""A private SLURM cluster, and a desk to submit from: a folder with a table, a plug-in and profiles of its own."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.status_lines import lines
from bench.launch.slurm.records import submissions
from bench.launch.slurm.status import Survey
from bench.store.runs import Store

one_node = importlib.import_module("bench.slurm.one_node")
CHECKOUT = Path(__file__).resolve().parents[2]

TABLE = """
title: slow
paper: none
seeds: 8
snapshot: final
metrics: [fd]
rows: [{id: slow, label: Slow, method: slow + baseline}, {id: stuck, label: Stuck, method: stuck + baseline},
       {id: broken, label: Broken, method: broken + baseline},
       {id: transfer, label: Transfer, method: transfergan + slow + baseline}]
columns: [{id: shapes, label: Shapes}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 60, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3, log_every: 10}
    protocol: {name: slow, version: 1, every: 60, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
    sources:
      network:
        method: slow + class-conditional
        network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
        data: {name: shapes, resolution: 32}
        train: {steps: 20, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3}
    resources: {minutes: 2, memory_gb: 0.8}
"""
PLUGIN = '''
"""Methods that take their time, which changes no result."""

import os
import time
from pathlib import Path

from bench.train import Method


class Slow(Method):
    """Waits after every step, as long as $BENCH_TEST_WAIT says and while the file $BENCH_TEST_HOLD exists."""

    def after_step(self, ctx):
        if Path(os.environ.get("BENCH_TEST_HOLD", "/")).exists():
            time.sleep(float(os.environ.get("BENCH_TEST_WAIT", "0")))
        return {}


class Stuck(Method):
    """Hangs in step 5, once."""

    def after_step(self, ctx):
        mark = os.environ.get("BENCH_TEST_MARK")
        if mark and ctx.step == 5 and not Path(mark).exists():
            Path(mark).touch()
            time.sleep(600)
        return {}


class Broken(Method):
    """Raises."""

    def after_step(self, ctx):
        raise RuntimeError("broken on purpose")
'''
PROFILE = """
{{partition: {partition}, {gres}device: cpu, cpus: {cpus}, memory: 1GB, time: {time}, pack: 1, {more}}}
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The files that wait most start first, other tests use the cores meanwhile; the other clusters come half-way,
    when those are over: three clusters at once would keep two cores too busy to tell time.
    """
    first = [item for item in items if "test_survival" in item.nodeid]
    clusters = [item for item in items if "tests/slurm/" in item.nodeid and item not in first]
    rest = [item for item in items if item not in first and item not in clusters]
    half = len(rest) // 2
    items[:] = [*first, *rest[:half], *clusters, *rest[half:]]


@pytest.fixture(scope="session")
def cluster_of(lacks):
    """Makes a OneNode."""

    def make(folder: Path, *, accounting: bool = False, **options: Any) -> Any:
        if absent := one_node.missing(accounting):
            lacks(absent)
        return one_node.OneNode(folder, accounting=accounting, **options)

    return make


class Desk:
    """Where somebody sits who uses the cluster."""

    def __init__(
        self,
        folder: Path,
        store: Path,
        cluster: Any,
        command: Callable[..., Any],
        wait_until: Callable[..., Any],
    ) -> None:
        self.folder, self.store, self.cluster = folder, Store(store), cluster
        self.command, self.wait_until = command, wait_until
        self.environment = {"BENCH_CHECKPOINT_SECONDS": "1", "BENCH_TEST_WAIT": "0.4"}
        (folder / "slow.yaml").write_text(TABLE)
        (folder / "slow.py").write_text(PLUGIN)

    def profile(
        self,
        name: str,
        partition: str = "low",
        time: str = "30m",
        cpus: int = 1,
        gpus: int = 1,
        more: str = "",
    ) -> str:
        """A profile file; more: further keys, "slice: 1m, requeue: false"."""
        gres = f"gres: 'gpu:{gpus}', " if gpus else ""
        text = PROFILE.format(partition=partition, time=time, cpus=cpus, gres=gres, more=more)
        (self.folder / f"{name}.yaml").write_text(text)
        return f"{name}.yaml"

    def bench(self, *words: str, check: bool = True, store: Path | None = None, **env: str):
        """`bench WORDS` in a process of its own."""
        done = self.command(*words, cwd=self.folder, **self.everything(store, **env))
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def everything(self, store: Path | None = None, **env: str) -> dict[str, str]:
        """The environment of its commands."""
        own = {"BENCH_STORE": str(store or self.store.root), "PYTHONPATH": str(CHECKOUT)}
        return {**os.environ, **self.cluster.environment(), **own, **self.environment, **env}

    def submit(self, profile: str, *words: str, check: bool = True, **env: str):
        command = ["submit", "slow.yaml", "--plugin", "slow.py", "--profile", profile, *words]
        return self.bench(*command, check=check, store=None, **env)

    def status(self) -> dict[str, str]:
        """Label -> "word  details", of every run that was submitted: the lines of `bench status --all`.

        Made in this process: a command each time would keep a core busy with starting Python.
        """
        labels = {uid: label for one in submissions(self.store) for uid, label in one.labels.items()}
        survey = Survey.of(self.store, submissions(self.store), list(labels))
        found = [survey.status_of(uid, label) for uid, label in labels.items()]
        told = (re.match(r"(\S+ · \S+ · seed \d+|source \S.*?seed \d+)\s+(.*)", line)
                for line in lines(found, survey.silent, everything=True))  # fmt: skip
        return {match[1].replace(" · shapes · seed ", "/"): match[2] for match in told if match}

    def until(self, label: str, pattern: str, seconds: float = 90) -> str:
        """Wait until the run's status fits; returns it."""
        found = ""

        def fits() -> bool:
            nonlocal found
            found = self.status().get(label, "")
            return re.match(pattern, found) is not None

        self.wait_until(
            fits,
            seconds,
            every=0.3,
            otherwise=lambda: f"{label} is {found!r}, not {pattern!r}: {self.squeue()}",
        )
        return found

    def until_all_ended(self, seconds: float = 120) -> None:
        """Wait until the queue is empty."""
        self.wait_until(lambda: not self.squeue(), seconds, every=0.3, otherwise=self.squeue)

    def squeue(self, *words: str) -> str:
        return self.cluster.run("squeue", "-h", "-r", "-o", "%i %j %T %r", *words).stdout

    def folder_of(self, label: str):
        """The run folder of a label, as the newest submission that has it knows it."""
        wanted = label.replace("/", " · shapes · seed ")
        for submission in reversed(submissions(self.store)):
            for uid, known in submission.labels.items():
                if known == wanted:
                    return self.store.folder(uid)
        raise KeyError(label)


@pytest.fixture
def desk_at(tmp_path, store_root, monkeypatch, bench_command, wait_until):
    """A desk at a cluster."""

    def at(cluster: Any) -> Desk:
        for name, value in cluster.environment().items():
            monkeypatch.setenv(name, value)
        return Desk(tmp_path, store_root, cluster, bench_command, wait_until)

    return at


class Disturbances:
    """One table, and all that can happen to its jobs: the scenario of test_survival*.py, step by step.

    Six CPUs: slow/0..4 in the partition `low`, of which one waits for a GPU; stuck/0 in `short` (one minute);
    slow/8 in slices of a minute.
    """

    def __init__(self, desk: Desk, cluster: Any) -> None:
        self.desk, self.cluster = desk, cluster
        self.low = desk.profile("low", more="parallel: 8")
        self.sliced = desk.profile("sliced", "debug", "20m", gpus=0, more="slice: 1m")
        self.short = desk.profile("short", partition="short", time="1m", more="signal_seconds: 5, requeue: false")
        self.mark = str(desk.folder / "stuck-once")
        self.touched: list[str] = []
        self.hold = desk.folder / "hold"
        self.hold.touch()
        desk.environment |= {"BENCH_TEST_HOLD": str(self.hold), "BENCH_TEST_WAIT": "2.8"}

    def __call__(self) -> None:
        self.submit_and_submit_again()
        self.controller_restarts_with_jobs_pending()
        self.one_is_preempted()
        self.one_is_cancelled()
        self.one_job_is_killed()
        self.one_worker_is_killed()
        self.node_daemon_is_killed_and_restarted()
        self.one_gives_its_place_back()
        self.one_times_out()
        self.submit_once_more()
        self.everything_is_done_once_and_bit_equal()

    def status(self) -> dict[str, str]:
        return self.desk.status()

    def pick(self) -> str:
        """A running run to which nothing has happened yet, some steps on its way; slow/8 goes back by itself."""

        def at_work() -> str | None:
            untouched = [f"slow/{seed}" for seed in range(5) if f"slow/{seed}" not in self.touched]
            status = self.status()
            return next((one for one in untouched if re.match("running +step [1-9]", status.get(one, ""))), None)

        # SLURM lets a requeued job wait for two minutes
        label: str = self.desk.wait_until(at_work, 180, every=0.2, otherwise=self.status)
        self.touched.append(label)
        return label

    def submit_and_submit_again(self) -> None:
        sent = self.desk.submit(self.short, "--rows", "stuck", "--seeds", "0", BENCH_TEST_MARK=self.mark)
        assert "1 run in 1 job" in sent.stdout, sent.stdout
        self.desk.submit(self.low, "--rows", "slow", "--seeds", "0..4")
        self.desk.submit(self.sliced, "--rows", "slow", "--seeds", "8")
        for seed in range(4):
            self.desk.until(f"slow/{seed}", r"running +step [1-9]")
        found = self.status()
        assert re.match(r"queued +job \S+: (waits for a free node|others are before it)", found["slow/4"])
        again = self.desk.submit(self.low, "--rows", "slow", "--seeds", "0..4")
        assert "5 runs queued or at work already" in again.stdout and "\njob " not in again.stdout

    def jobs(self) -> set[str]:
        """The numbers of the queue's jobs, each task of an array by itself."""
        return {line.split()[0] for line in self.desk.squeue().splitlines()}

    def controller_restarts_with_jobs_pending(self) -> None:
        (waiting,) = (job for job in self.jobs() if job.endswith("_4"))  # slow/4, the last of its array
        self.cluster.daemon("stop", "slurmctld")
        silent = self.desk.bench("status").stdout
        assert "the cluster does not answer" in silent and re.search(r"slow · .*running", silent), silent
        refused = self.desk.submit(self.low, "--rows", "slow", "--seeds", "6", check=False)
        assert refused.returncode == 2 and "Unable to contact" in refused.stderr and "Traceback" not in refused.stderr
        self.cluster.daemon("start", "slurmctld")
        # the very job is there, waiting or, on a slow machine where a place has come free meanwhile, at work
        self.desk.until("slow/4", "queued +job|running")
        assert waiting in self.jobs()

    def requeued_ones(self) -> list[str]:
        """Those that a preemption has sent back; slow/8 goes back by itself."""
        return [one for one, word in self.status().items() if word.startswith("requeued") and one != "slow/8"]

    def one_is_preempted(self) -> None:
        """Somebody with more rights wants two GPUs for a moment: runs of `low` save, make room and come back."""
        wanted = ["sbatch", "--parsable", "-p", "high", "--gres=gpu:2", "-t", "5", "--wrap", "sleep 2"]
        done = self.cluster.run(*wanted, "-o", "/dev/null")
        assert done.returncode == 0, done.stderr
        hit = self.desk.wait_until(self.requeued_ones, 90, every=0.2, otherwise=self.status)
        label, word = hit[0], self.status()[hit[0]]
        self.touched.append(label)
        kept = number(r"step (\d+) of", word)
        assert kept > 0 and label.startswith("slow/"), word
        self.requeued, self.kept = label, kept
        # all that had to make room have gone by the time the other job ends: nothing else is on its way out
        job = ["-j", done.stdout.strip(), "-t", "PD,R,CG"]

        def gone() -> bool:
            return not self.cluster.run("squeue", "-h", *job).stdout

        self.desk.wait_until(gone, 90, every=0.3, otherwise=self.desk.squeue)

    def one_is_cancelled(self) -> None:
        label = self.pick()
        told = self.desk.bench("cancel", self.desk.folder_of(label).uid, "--plugin", "slow.py").stdout
        assert re.match(r"job \d+_\d+ cancelled\n1 of 1 runs", told), told
        found = self.desk.until(label, "cancelled")
        assert re.search(r"continues from a checkpoint up to step [1-9]", found), found

    def one_job_is_killed(self) -> None:
        """kill -9 of all its processes, the way the kernel does it when memory runs out."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        worker = folder.heartbeat()["pid"]
        job = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(job, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        found = self.desk.until(label, "lost")
        assert re.search(r"job \S+ ended: (FAILED|UNKNOWN).*up to step [1-9]", found), found

    def one_worker_is_killed(self) -> None:
        """kill -9 of the process that trains: its job starts another, which goes on."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        before = folder.heartbeat()
        os.kill(before["pid"], signal.SIGKILL)

        def further() -> bool:
            beat = folder.heartbeat()
            if beat["pid"] != before["pid"] and beat["step"] > before["step"]:
                return True
            assert self.status()[label].split()[0] in ("running", "queued")
            return False

        self.desk.wait_until(further, 60, every=0.2)
        assert folder.heartbeat()["job"] == before["job"]

    def node_daemon_is_killed_and_restarted(self) -> None:
        """slurmd dies; what runs goes on."""
        label = self.pick()
        folder = self.desk.folder_of(label)
        self.cluster.daemon("kill", "slurmd")
        step = folder.heartbeat()["step"]
        self.desk.until(label, f"running +step (?!{step} )|done")
        self.cluster.daemon("start", "slurmd")
        found = self.desk.until(self.requeued, r"running +step [1-9]|done", 90)
        assert found.startswith("done") or number(r"step (\d+)", found) >= self.kept, "it continued"

    def one_gives_its_place_back(self) -> None:
        """After its slice of a minute; SLURM lets it wait, then it goes on in the same job."""
        kept = number(r"step (\d+) of", self.desk.until("slow/8", r"(requeued|running) +step [1-9]"))
        starts = self.desk.folder_of("slow/8").path / "provenance.json"

        def jobs() -> list[str]:
            return [start["job"] for start in json.loads(starts.read_text())]

        self.desk.wait_until(lambda: len(jobs()) >= 2, 240, every=0.5, otherwise=self.status)
        assert jobs()[0] == jobs()[1]
        assert number(r"step (\d+) of", self.desk.until("slow/8", r"running +step [1-9]")) >= kept

    def one_times_out(self) -> None:
        """Its step hangs, so it cannot save at the notice, and SLURM ends it at the limit."""
        found = self.desk.until("stuck/0", "lost", 150)
        assert re.search(r"job \S+ ended: TIMEOUT.*up to step [1-9]", found), found

    def submit_once_more(self) -> None:
        self.hold.unlink()
        self.desk.until("slow/8", "done", 60)
        log = self.desk.bench("logs", self.desk.folder_of("slow/8").uid).stdout
        assert log.count("1 of 1 runs to do") >= 2 and "end of its time: 1 run left, requeueing" in log, log
        self.desk.until_all_ended()
        self.results = {path: path.stat().st_mtime_ns for path in self.desk.store.root.glob("*/result.json")}
        assert 2 <= len(self.results) <= 4, self.status()
        words = [self.low, "--rows", "slow,stuck", "--seeds", "0..4"]
        sent = self.desk.submit(*words, BENCH_TEST_MARK=self.mark)
        assert re.search(r"job \d+: ", sent.stdout), sent.stdout
        self.desk.until_all_ended(180)

    def everything_is_done_once_and_bit_equal(self) -> None:
        assert set(self.status().values()) == {"done"}
        assert {path: path.stat().st_mtime_ns for path in self.results} == self.results, "nothing was trained twice"
        alone = self.desk.folder / "undisturbed"
        words = ["--plugin", "slow.py", "--rows", "slow,stuck", "--seeds", "0..4"]
        self.desk.bench("run", "slow.yaml", *words, store=alone, BENCH_TEST_WAIT="0")
        runs = list(Store(alone))
        assert len(runs) == 10
        for undisturbed in runs:
            assert essence(self.desk.store.folder(undisturbed.uid)) == essence(undisturbed), undisturbed.uid


def number(pattern: str, text: str) -> int:
    """The number that a pattern finds."""
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])


def essence(folder) -> tuple[object, ...]:
    """All that may not differ: the weights, the scores without their seconds, the losses."""
    scores = [{key: value for key, value in line.items() if key != "seconds"} for line in folder.metrics()]
    return folder.result()["weights_sha256"], folder.result()["steps"], scores, folder.read_log()


@pytest.fixture
def disturbed(desk_at):
    """The scenario at a cluster."""
    return lambda cluster: Disturbances(desk_at(cluster), cluster)()
