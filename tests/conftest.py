"""Shared by all tests: one cache of built data sets and features, a store per test, tiny runs, a server that forks."""

from __future__ import annotations

import fcntl
import gc
import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from bench import plugins
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.contract.signature import needed_sources, signature
from bench.data.known import datasets
from bench.evaluate.registry import run_measures
from bench.evaluate.traces import traces
from bench.features.lookup import extractors
from bench.launch.local import template_handle
from bench.metrics.measures import measures
from bench.spec.run import DataSpec, MetricSpec, NetworkSpec, Protocol, RunSpec, TrainSettings

if TYPE_CHECKING:
    from fork_client import ForkMother, ForkServer

CHECKOUT = Path(__file__).resolve().parent.parent
# An assertion in a helper shows its values as one in a test does.
pytest.register_assert_rewrite(*(path.stem for path in (CHECKOUT / "tests" / "helpers").iterdir()))
NETWORK = NetworkSpec(name="sngan-32", options={"g_width": 8, "d_width": 8, "z_dim": 16, "sn_generator": True})
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
LAUNCH = template_handle.launch  # before any test has another
FORK_MOTHER: pytest.StashKey[ForkMother] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """How long is left (progress.py), and who runs what when (schedule.py)."""
    _plugin("progress").pytest_configure(config)
    config.pluginmanager.register(_plugin("schedule"), "bench-schedule")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected is millions of objects that stay: no garbage collection looks through them, then or later."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, object, object]:
    """In a fresh checkout one worker compiles a file of tests, with its rewritten asserts; the others wait to read it.

    All workers collect in one order: each would compile every file, for most of a minute.
    """
    if not isinstance(collector, pytest.Module) or sys.dont_write_bytecode or compiled(collector.path):
        return (yield)
    with collector.path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return (yield)


def compiled(path: Path) -> bool:
    """Whether pytest has kept a file of tests as bytecode since it was last changed."""
    kept = (path.parent / "__pycache__").glob(f"{path.stem}.*pytest*.pyc")
    return any(one.stat().st_mtime >= path.stat().st_mtime for one in kept)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers of pytest-xdist fork from one process, which is started where the first of them asks for it."""
    from fork_client import ForkMother

    stash = node.config.stash
    if FORK_MOTHER not in stash:
        stash[FORK_MOTHER] = ForkMother()
        stash[FORK_MOTHER].start_when_asked()
    node.workerinput["fork_mother"] = stash[FORK_MOTHER].address


def pytest_unconfigure(config: pytest.Config) -> None:
    """End that process."""
    if FORK_MOTHER in config.stash:
        config.stash[FORK_MOTHER].close()


def _plugin(name: str) -> Any:
    """A file beside this one, loaded by path, since `tests` is no package."""
    found = importlib.util.spec_from_file_location(f"bench_{name}", CHECKOUT / "tests" / f"{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def store_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The store of this test alone; also what $BENCH_STORE says, here and in the processes it starts."""
    root = tmp_path / "runs"
    monkeypatch.setenv("BENCH_STORE", str(root))
    monkeypatch.delenv("BENCH_RECORDED", raising=False)
    return root


@pytest.fixture(autouse=True)
def warm_workers(monkeypatch: pytest.MonkeyPatch, run_server: ForkServer) -> None:
    """Queues of this process and of its commands fork their workers from a process that has imported everything.

    A test of how workers are started takes `cold_workers`.
    """
    from warm_template import launch_from

    monkeypatch.setenv("BENCH_WORKERS", "fork")
    monkeypatch.setattr(template_handle, "launch", lambda log: launch_from(run_server.pid)(log))


@pytest.fixture
def cold_workers(monkeypatch: pytest.MonkeyPatch, warm_workers: None) -> None:
    """Queues of this process start their workers as they do for a user."""
    monkeypatch.delenv("BENCH_WORKERS")
    monkeypatch.setattr(template_handle, "launch", LAUNCH)


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
    settings = TrainSettings(**{"steps": steps, "batch": 4, "g_lr": 1e-3, "d_lr": 1e-3, "log_every": 1, **train})
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
        "classifier": ("classifier(width=4)", None),
        "run": ("class-conditional", NETWORK),
    }
    return RunSpec(
        method=parts,
        network=None if parts[0].name in ("simclr", "classifier") else NETWORK,
        data=data,
        train=settings,
        protocol=protocol if scored else None,
        seed=seed,
        sources={role: _source(*sources[role]) for role in needed_sources(parts)},
    )


def _source(method: str, network: NetworkSpec | None) -> RunSpec:
    train = TrainSettings(steps=3, batch=4, g_lr=1e-3, d_lr=1e-3)
    return RunSpec(method=parse_method(method), network=network, data=DATA, train=train, protocol=None, seed=7)


@pytest.fixture(scope="session")
def tiny_spec() -> Callable[..., RunSpec]:
    """`make_spec`: a fixture, because test modules cannot import each other."""
    return make_spec


@pytest.fixture
def fresh_registries() -> Iterator[None]:
    """Registries as a new process would find them; what a test adds ends with it."""
    caches = methods, datasets, measures, run_measures, traces, extractors, signature
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


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Callable[..., None]:
    """Install a package with entry points: its metadata and module on sys.path."""

    def install(entry_points: str, module: str = "", name: str = "their_gans") -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        (site / f"{name}.py").write_text(module)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


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


def wait_until(
    condition: Callable[[], Any],
    seconds: float = 300,
    *,
    every: float = 0.01,
    otherwise: Callable[[], object] = lambda: "",
) -> Any:
    """Wait until the condition is true and return what it gave; a failure, which says `otherwise()`, after `seconds`.

    every: how often it is looked at, in seconds. The default of `seconds` is for machines that do much else.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {otherwise()}"
        time.sleep(every)
    return value


SLOW_MACHINE = 5  # times slower than the one that the seconds of `computes_within` were measured on


@contextmanager
def computes_within(seconds: float) -> Iterator[None]:
    """What is inside must not compute longer, in seconds of this process; a slow or busy machine has SLOW_MACHINE times
    as many.
    """
    start = time.process_time()
    yield
    took = time.process_time() - start
    assert took < SLOW_MACHINE * seconds, f"took {took:.1f} s of computing, should take {seconds:g} s"


@pytest.fixture(scope="session", name="computes_within")
def computes_within_fixture() -> Callable[[float], AbstractContextManager[None]]:
    """`computes_within`: the way for a test to bound a time."""
    return computes_within


@pytest.fixture(scope="session", name="wait_until")
def wait_until_fixture() -> Callable[..., Any]:
    """`wait_until`: the way for a test to wait."""
    return wait_until


@pytest.fixture(scope="session")
def run_server(request: pytest.FixtureRequest) -> Iterator[ForkServer]:
    """A `ForkServer` for the session."""
    from fork_client import ForkServer

    server = ForkServer(getattr(request.config, "workerinput", {}).get("fork_mother"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def bench_command(run_server: ForkServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `bench ARGUMENTS` in a fork of a process that has imported everything, in a folder of the caller's."""
    return run_server.command


@pytest.fixture(scope="session")
def bench_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same by a new interpreter, as a user starts it: where that is under test. It takes seconds."""
    from fork_client import python_path

    def run(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": python_path(), **env},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run
