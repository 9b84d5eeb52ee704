"""Shared by all tests: one cache of built data sets and features, a store per test, tiny runs, a run server."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench import plugins
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources, signature
from bench.data.known import datasets
from bench.spec.run import DataSpec, MetricSpec, NetworkSpec, Protocol, RunSpec, TrainSettings

CHECKOUT = Path(__file__).resolve().parent.parent
NETWORK = NetworkSpec(
    name="sngan-32", options={"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True}
)
DATA = DataSpec(name="shapes", resolution=32, shots=16)


def cache_folder() -> Path:
    """One folder for every worker of pytest-xdist and every session: sets and features are built once.

    $BENCH_TEST_CACHE names another. The default is ours alone: somebody else's folder of that name is refused.
    """
    if named := os.environ.get("BENCH_TEST_CACHE"):
        return Path(named)
    folder = Path(tempfile.gettempdir()) / f"bench-test-cache-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    assert stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid(), f"{folder} is not ours"
    return folder


os.environ["BENCH_CACHE"] = str(cache_folder())
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """How long is left; see progress.py. It is loaded by path, since `tests` is no package."""
    found = importlib.util.spec_from_file_location("bench_progress", CHECKOUT / "tests" / "progress.py")
    assert found is not None and found.loader is not None
    progress = importlib.util.module_from_spec(found)
    found.loader.exec_module(progress)
    progress.pytest_configure(config)


@pytest.fixture(autouse=True)
def store_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The store of this test alone; also what $BENCH_STORE says, here and in the processes it starts."""
    root = tmp_path / "runs"
    monkeypatch.setenv("BENCH_STORE", str(root))
    monkeypatch.delenv("BENCH_RECORDED", raising=False)
    return root


def make_spec(
    method: str = "baseline",
    *,
    seed: int = 0,
    steps: int = 6,
    scored: bool = False,
    data: DataSpec = DATA,
    **train: Any,
) -> RunSpec:
    """A run of a fraction of a second; what it starts from is as small."""
    parts = parse_method(method)
    settings = TrainSettings(
        **{"steps": steps, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3, "log_every": 1, **train}
    )
    protocol = Protocol(
        name="tiny",
        version=1,
        generated=24,
        reference=24,
        metrics=(MetricSpec(name="fd", extractor="effnet_lite0@32"),),
        every=max(1, steps // 3),
    )
    sources = {
        "network": ("class-conditional", NETWORK),
        "simclr": ("simclr(width=4)", None),
    }
    return RunSpec(
        method=parts,
        network=None if parts[0].name == "simclr" else NETWORK,
        data=data,
        train=settings,
        protocol=protocol if scored else None,
        seed=seed,
        sources={role: _source(*sources[role]) for role in needed_sources(parts)},
    )


def _source(method: str, network: NetworkSpec | None) -> RunSpec:
    train = TrainSettings(steps=3, batch=4, g_lr=1e-3, d_lr=1e-3)
    return RunSpec(
        method=parse_method(method), network=network, data=DATA, train=train, protocol=None, seed=7
    )


@pytest.fixture(scope="session")
def tiny_spec() -> Callable[..., RunSpec]:
    """`make_spec`: a fixture, because test modules cannot import each other."""
    return make_spec


@pytest.fixture
def fresh_registries() -> Iterator[None]:
    """Registries as a new process would find them; what a test adds ends with it."""
    caches = methods, datasets, signature
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def load_plugin(fresh_registries: None, tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    """Write a plug-in file and load it into registries of this test's own; gives the names it defines."""

    def load(text: str, name: str = "mine.py") -> list[str]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return plugins.load_plugin(str(path))

    yield load
    for module in [one for one in sys.modules if one.startswith("bench_plugin_")]:
        del sys.modules[module]


def lacks(what: str) -> NoReturn:
    """A test needs what this machine lacks (`what` says how to get it): it is skipped, and `make test` names it.

    Where all must run, on CI and with BENCH_TEST_ALL=1, that is a failure.
    """
    if os.environ.get("CI") or os.environ.get("BENCH_TEST_ALL"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session", name="lacks")
def lacks_fixture() -> Callable[[str], NoReturn]:
    """`lacks`: the only way for a test to be skipped."""
    return lacks


@pytest.fixture(scope="session")
def bench_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `bench ARGUMENTS` in a process of its own, in a folder of the caller's."""

    def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path, **env},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


class RunServer:
    """A process that has imported torch once and forks one child for each attempt at a run.

    The children are real processes: they are killed, stopped and limited as any worker would be.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(CHECKOUT),
                "OMP_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
        )
        assert self._reply() == "ready"

    def start(self, uid: str, root: Path, *, every: float = 0.0, file_limit: int | None = None) -> int:
        """Begin an attempt that saves every `every` seconds; returns its process id."""
        return int(self._ask("start", uid, str(root), every, file_limit))

    def wait(self, pid: int) -> tuple[int, str]:
        """(exit status, negative for a signal; outcome or "")."""
        status, outcome = self._ask("wait", pid)
        return status, outcome

    def run(self, uid: str, root: Path, **options: Any) -> str:
        """One attempt, awaited: its outcome."""
        status, outcome = self.wait(self.start(uid, root, **options))
        assert status == 0
        return outcome

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(300)

    def _ask(self, *request: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._reply()

    def _reply(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


SERVER = """
import json, os, resource, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import torch._dynamo  # torch.optim imports it, for seconds
import bench.features.effnet, bench.machine.provenance, bench.run.execute
from bench.contract.discovery import methods
from bench.run.attempt import run_once
from bench.launch.local.worker import SIGNALS, StopFlag

bench.machine.provenance.provenance()
for entry in methods():
    methods().load(entry.name)

def child(uid, root, every, limit, pipe):
    os.environ["BENCH_CHECKPOINT_SECONDS"] = str(every)
    stop = StopFlag()
    for number in SIGNALS:
        signal.signal(number, stop)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    outcome = run_once(uid, Path(root), should_stop=stop.is_set)
    os.write(pipe, outcome.encode())

pipes = {}
print('"ready"', flush=True)
for line in sys.stdin:
    verb, *rest = json.loads(line)
    if verb == "start":
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(*rest, write)
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(99)
        os.close(write)
        pipes[pid] = read
        print(pid, flush=True)
    else:
        status = os.waitstatus_to_exitcode(os.waitpid(rest[0], 0)[1])
        outcome = os.read(pipes[rest[0]], 100).decode()
        os.close(pipes.pop(rest[0]))
        print(json.dumps([status, outcome]), flush=True)
"""


@pytest.fixture(scope="session")
def run_server() -> Iterator[RunServer]:
    """A `RunServer` for the session."""
    server = RunServer()
    yield server
    server.close()
