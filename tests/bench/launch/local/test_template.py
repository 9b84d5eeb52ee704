"""Workers that are forked from a template: the same bits and surroundings as fresh ones, and every way to end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.launch.local import template, template_handle
from bench.launch.local.messages import receive, send
from bench.launch.local.queue import Queue
from bench.launch.local.starter import start_method
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

CHECKOUT = Path(__file__).resolve().parents[4]
NOTES = '''
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from bench.train import Method

NAMES = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]


class Notes(Method):
    """Writes down where it runs, prints, and waits while a file is there."""

    def prepare(self, ctx):
        print("bench: a note of seed", ctx.spec.seed)
        print("an error", file=sys.stderr)
        found = {
            "environment": {name: os.environ.get(name) for name in NAMES},
            "folder": os.getcwd(),
            "torch threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
            "threads": [thread.name for thread in threading.enumerate()],
            "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
            "default": [str(torch.get_default_dtype()), str(torch.get_default_device()), torch.is_grad_enabled()],
            "cuda": torch.cuda.is_initialized(),
        }
        drawn = {"python": random.random(), "numpy": np.random.random(), "torch": torch.rand(1).item()}
        own = {"drawn": drawn, "pid": os.getpid(), "parent": os.getppid()}
        Path(f"seed-{ctx.spec.seed}.json").write_text(json.dumps([found, own]))

    def after_step(self, ctx):
        while Path("hold").exists() and ctx.step == 3:
            time.sleep(0.01)
        return {}
'''


class Watch:
    """What the queue said, and a function that is called several times a second."""

    def __init__(self, on_tick=lambda: None):
        self.lines, self.tick = [], on_tick

    def started(self, run):
        pass

    def stepped(self, run, step, steps):
        pass

    def ended(self, run, outcome):
        pass

    def said(self, text):
        self.lines.append(text)


@pytest.fixture
def queue_of(tiny_spec, load_plugin, tmp_path, monkeypatch):
    """A queue of runs of NOTES with these seeds, in a store of this name; this test's folder is the current one."""
    load_plugin(NOTES, "notes.py")
    monkeypatch.chdir(tmp_path)

    def make(name, seeds, on_tick=lambda: None, workers=None):
        runs = [PlannedRun(tiny_spec("notes + baseline", seed=seed)) for seed in seeds]
        devices = ["cpu"] * (workers or len(runs))
        return Queue(Store(tmp_path / name), runs, devices, Watch(on_tick), [str(tmp_path / "notes.py")])

    return make


def weights(queue):
    return {run.uid: queue.store.folder(run.uid).result()["weights_sha256"] for run in queue.runs}


@pytest.mark.slow
def test_forked_workers_are_as_fresh_ones(queue_of, cold_workers, tmp_path, monkeypatch):
    """Weights bit for bit, variables, threads, folder, random states, signal mask, logs: of two workers at once."""
    notes, results, logs = {}, {}, {}
    for method in ("fork", "spawn"):
        monkeypatch.setenv("BENCH_WORKERS", method)
        queue = queue_of(method, [0, 1])
        assert set(queue.work().values()) == {"done"} and queue.watcher.lines == []
        notes[method] = [json.loads((tmp_path / f"seed-{seed}.json").read_text()) for seed in (0, 1)]
        results[method] = weights(queue)
        files = (tmp_path / method / "logs").iterdir()
        logs[method] = sorted("".join(sorted(path.read_text().splitlines(True))) for path in files)
        assert sorted(queue.notes) == ["bench: a note of seed 0", "bench: a note of seed 1"]
    assert results["fork"] == results["spawn"] and len(set(results["fork"].values())) == 2
    assert logs["fork"] == logs["spawn"]
    (first, own), (second, other) = notes["fork"]
    assert [first, second] == [found for found, _ in notes["spawn"]]
    assert first["environment"]["OMP_NUM_THREADS"] == "1" and first["torch threads"][0] == 1
    assert first["blocked"] == [] and first["threads"] == ["MainThread"] and not first["cuda"]
    # The global streams, which no method may use, are seeded by chance; one template is the parent of both
    assert all(own["drawn"][name] != other["drawn"][name] for name in ("python", "numpy", "torch"))
    assert own["pid"] != other["pid"]
    assert own["parent"] == other["parent"] and own["parent"] != os.getpid()
    assert {one["parent"] for _, one in notes["spawn"]} == {os.getpid()}


@pytest.mark.slow
def test_a_template_that_is_killed_leaves_its_workers_and_is_replaced_by_fresh_ones(queue_of, tmp_path):
    """Two workers at work; then one of them is killed too, whose parent cannot say how it ended."""
    (tmp_path / "hold").touch()
    killed = []

    def disturb():
        at_work = [tmp_path / f"seed-{seed}.json" for seed in (0, 1)]
        if not killed and all(path.exists() and queue.store.folder(run.uid).heartbeat() for path, run in
                              zip(at_work, queue.runs)):  # fmt: skip
            own = json.loads(at_work[0].read_text())[1]
            killed.extend([own["parent"], own["pid"]])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            (tmp_path / "hold").unlink()

    queue = queue_of("runs", [0, 1], disturb)
    assert set(queue.work().values()) == {"done"} and len(killed) == 2
    ended, fallback = sorted(queue.watcher.lines, key=lambda line: "forked" in line)
    assert "its worker ended (exit status unknown, as its template ended too); it goes on in a new one" in ended
    assert fallback.startswith("workers are not forked any more (")
    assert fallback.endswith("-template.log): each imports torch by itself")
    assert json.loads((tmp_path / "seed-0.json").read_text())[1]["parent"] == os.getpid(), "the new one"
    assert queue.deaths[queue.runs[0].uid] == 1 and not queue.deaths[queue.runs[1].uid]


def test_a_template_that_cannot_start_is_said_and_so_is_the_reason_of_its_workers(
    queue_of, cold_workers, tmp_path, monkeypatch
):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('libcudart.so: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    queue = queue_of("runs", [0, 1])
    assert set(queue.work().values()) == {"failed"}
    (line,) = queue.watcher.lines
    assert line.startswith("workers are not forked any more (ImportError: libcudart.so: no such file; ")
    for run in queue.runs:
        reason = "its worker could not start: ImportError: libcudart.so: no such file"
        assert queue.store.folder(run.uid).error() == reason and queue.deaths[run.uid] == 1


def test_a_stop_before_the_fork_ends_the_queue_at_once(queue_of, monkeypatch):
    """Ctrl-C while the template still imports torch."""
    templates = []

    def launch(log):
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            templates.append(subprocess.Popen(command, pass_fds=[theirs.fileno()]))
        return ours, templates[-1]

    monkeypatch.setattr(template_handle, "launch", launch)
    queue = queue_of("runs", [0, 1], lambda: os.kill(os.getpid(), signal.SIGINT))
    assert set(queue.work().values()) == {"stopped"}
    assert [one.wait() for one in templates] == [-signal.SIGTERM]
    assert queue.stopped_by == signal.SIGINT and queue.watcher.lines == []
    assert {queue.store.folder(run.uid).status() for run in queue.runs} == {"planned"}


SCRIPT = """
from pathlib import Path
from bench.launch.local.queue import Queue
from bench.launch.progress import Plain, Tally
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store

store = Store(Path("runs"))
runs = [PlannedRun(run.spec()) for run in store]
Queue(store, runs, ["cpu"] * len(runs), Plain(Tally(runs)), ["notes.py"]).work()
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_its_queue(end, queue_of, cold_workers, tmp_path, wait_until):
    """SIGTERM to the whole group, as a cluster sends it: workers save. SIGKILL: they end after the run they are at."""
    (tmp_path / "hold").touch()
    queue = queue_of("runs", [0, 1])
    for run in queue.runs:
        queue.store.open(run.spec)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, start_new_session=True)

    def at_work():
        assert parent.poll() is None
        return all((queue.store.folder(run.uid).heartbeat() or {"step": 0})["step"] for run in queue.runs)

    wait_until(at_work)
    own = [json.loads((tmp_path / f"seed-{seed}.json").read_text())[1] for seed in (0, 1)]
    processes = {number for one in own for number in (one["parent"], one["pid"])}
    assert len(processes) == 3 and all(alive(number) for number in processes)
    if end == signal.SIGKILL:
        parent.kill()
        wait_until(lambda: not alive(own[0]["parent"]), 60)
        (tmp_path / "hold").unlink()
    else:
        os.killpg(parent.pid, end)
        (tmp_path / "hold").unlink()
    parent.wait(60)
    wait_until(lambda: not any(alive(number) for number in processes), 60)
    wanted = "done" if end == signal.SIGKILL else "interrupted"
    assert {queue.store.folder(run.uid).status() for run in queue.runs} == {wanted}


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("devices", "named", "platform", "method"),
    [
        (["cpu", "cpu"], None, "linux", "fork"),
        (["cpu"], None, "linux", "spawn"),
        (["cpu"], "fork", "linux", "fork"),
        (["cpu", "cpu"], "spawn", "linux", "spawn"),
        (["cpu", "cpu"], "fork", "darwin", "spawn"),
        (["cuda:0", "cuda:1"], None, "linux", "spawn"),
        (["cuda:0", "cuda:1"], "fork", "linux", "spawn"),
        ([], None, "linux", "spawn"),
    ],
)
def test_how_workers_are_started(devices, named, platform, method, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    if named:
        monkeypatch.setenv("BENCH_WORKERS", named)
    else:
        monkeypatch.delenv("BENCH_WORKERS", raising=False)
    found, why = start_method(devices)
    assert found == method and why
    if "cuda:0" in devices:
        assert "GPU" in why
    elif platform == "darwin":
        assert platform in why
    elif named:
        assert "BENCH_WORKERS" in why


def test_another_way_is_refused(monkeypatch, queue_of):
    monkeypatch.setenv("BENCH_WORKERS", "threads")
    with pytest.raises(UserError, match="BENCH_WORKERS=threads must be fork or spawn"):
        queue_of("runs", [0]).work()


def test_a_process_with_threads_is_not_forked(tmp_path, monkeypatch):
    """The main thread alone is left of them in a fork, and a lock that another holds is never released."""
    for number in ("11", "12"):
        (tmp_path / number).mkdir()
    monkeypatch.setattr(template, "TASKS", tmp_path)
    assert template.unfit() == "it has 2 threads after its imports, of which a fork has only one"
    (tmp_path / "12").rmdir()
    assert template.unfit() is None


def test_messages_arrive_whole_with_their_files(tmp_path):
    """Also those that are longer than a socket's buffer; an end in the middle is an end."""
    ours, theirs = socket.socketpair()
    (tmp_path / "file").write_text("its content")
    with ours, theirs, (tmp_path / "file").open() as file:
        assert send(ours, {"verb": "fork", "arguments": ["ü\udcff"]}, (file.fileno(),))
        message, (number,) = receive(theirs)
        assert message == {"verb": "fork", "arguments": ["ü\udcff"]}
        with os.fdopen(number) as copy:
            assert copy.read() == "its content" and number != file.fileno()
        sender = subprocess.Popen(
            [sys.executable, "-c", "import socket, sys; from bench.launch.local.messages import send; "
             "send(socket.socket(fileno=int(sys.argv[1])), {'long': 'x' * 3_000_000})", str(ours.fileno())],
            pass_fds=[ours.fileno()], env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
        message, files = receive(theirs)
        assert len(message["long"]) == 3_000_000 and files == [] and sender.wait(60) == 0
        ours.sendall(b"\0\0\0\5{")
        ours.close()
        assert receive(theirs) is None and not send(theirs, {})
