"""A private SLURM cluster, and a desk to submit from: a folder with a table, a plug-in and profiles of its own."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.status_lines import lines
from bench.launch.slurm.records import submissions
from bench.launch.slurm.status import Survey
from bench.store.runs import Store
from disturbances import Disturbances

one_node = importlib.import_module("bench.slurm.one_node")
CHECKOUT = Path(__file__).resolve().parents[2]

TABLE = """
title: slow
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

    splits = True

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
{{partition: {partition}, {gres}device: {device}, cpus: {cpus}, memory: 1GB, time: {time}, pack: 1, {more}}}
"""


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

    def warm_jobs(self, server: int) -> None:
        """Jobs that are submitted from here on have workers that need not import anything; see helpers/warm_jobs."""
        helpers = CHECKOUT / "tests" / "helpers"
        path = os.pathsep.join(map(str, (CHECKOUT, helpers, helpers / "warm_jobs")))
        self.environment |= {"PYTHONPATH": path, "BENCH_WORKERS": "fork", "BENCH_TEST_FORK_SERVER": str(server)}

    def profile(
        self,
        name: str,
        partition: str = "low",
        time: str = "30m",
        cpus: int = 1,
        gpus: int = 1,
        more: str = "",
        device: str = "cpu",
    ) -> str:
        """A profile file; more: further keys, "slice: 1m, requeue: false"."""
        gres = f"gres: 'gpu:{gpus}', " if gpus else ""
        text = PROFILE.format(partition=partition, time=time, cpus=cpus, gres=gres, device=device, more=more)
        (self.folder / f"{name}.yaml").write_text(text)
        return f"{name}.yaml"

    def expect(self, minutes: float, steps: int) -> None:
        """Say in the table that a run of so many steps takes so long: its figure is of the table's own number."""
        table = self.folder / "slow.yaml"
        own = int(re.findall(r"train: {steps: (\d+)", TABLE)[0])
        table.write_text(re.sub(r"minutes: [0-9.]+", f"minutes: {minutes * own / steps:g}", table.read_text()))

    def bench(self, *words: str, check: bool = True, store: Path | None = None, **env: str):
        """`bench WORDS` in a process of its own."""
        done = self.command(*words, cwd=self.folder, **self.everything(store, **env))
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def everything(self, store: Path | None = None, **env: str) -> dict[str, str]:
        """The environment of its commands."""
        own = {"BENCH_STORE": str(store or self.store.root), "PYTHONPATH": str(CHECKOUT), "BENCH_WORKERS": ""}
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
            every=0.5,
            otherwise=lambda: f"{label} is {found!r}, not {pattern!r}: {self.squeue()}",
        )
        return found

    def until_all_ended(self, seconds: float = 120) -> None:
        """Wait until the queue is empty."""
        self.wait_until(lambda: not self.squeue(), seconds, every=0.5, otherwise=self.squeue)

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


@pytest.fixture
def disturbed(desk_at, run_server):
    """The scenario at a cluster."""
    return lambda cluster: Disturbances(desk_at(cluster), cluster, run_server.pid)()
