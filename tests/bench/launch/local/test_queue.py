"""The local queue with real workers: what kills, failures, busy runs and Ctrl-C do to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.launch.local import queue as local
from bench.launch.local.devices import slots
from bench.launch.local.queue import Queue
from bench.plan.schedule import PlannedRun
from bench.store.runs import Store
from fake_nvml import Device

CHECKOUT = Path(__file__).resolve().parents[4]
BREAKS = '''
from bench.train import Method


class Breaks(Method):
    """It raises."""

    def after_step(self, ctx):
        raise RuntimeError("broken on purpose")


class Fine(Method):
    """It does nothing."""
'''


class Record:
    """A watcher that keeps what it is told and may act on it."""

    def __init__(self, on_step=lambda run, step: None, on_tick=lambda: None):
        self.told, self.on_step, self.on_tick = [], on_step, on_tick

    def started(self, run):
        self.told.append(("started", run.uid))

    def stepped(self, run, step, steps):
        self.told.append(("stepped", run.uid))
        self.on_step(run, step)

    def ended(self, run, outcome):
        self.told.append((outcome, run.uid))

    def said(self, text):
        self.told.append(("said", text))

    def tick(self):
        self.on_tick()


def planned(spec):
    return PlannedRun(spec, needs=tuple(source.uid for source in spec.run_sources.values()))


@pytest.mark.slow
def test_killed_worker_is_replaced_and_the_run_continues(tiny_spec, run_server, store_root, monkeypatch):
    """Also: a damaged checkpoint is said to the user, though it was found in a worker."""
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    store = Store(store_root)
    spec = tiny_spec(steps=40)
    folder = store.open(spec)
    folder.state.mkdir()
    (folder.state / "step-00000005.pt").write_bytes(b"torn")
    killed = []

    def kill(run, step):
        if not killed and step > 2:  # so that it goes on from a checkpoint
            killed.append((folder.heartbeat()["pid"], step))
            os.kill(killed[0][0], signal.SIGKILL)

    queue = Queue(store, [planned(spec)], ["cpu"], Record(on_step=kill))
    assert queue.work() == {spec.uid: "done"}
    said = [text for word, text in queue.watcher.told if word == "said"]
    assert said == [f"{planned(spec).label}: its worker ended (signal 9); it goes on in a new one"]
    assert len(killed) == 1 and queue.deaths[spec.uid] == 1 and folder.heartbeat()["pid"] != killed[0][0]
    assert any("falling back to the start" in note for note in queue.notes)
    undisturbed = store_root.parent / "undisturbed"
    Store(undisturbed).open(spec)
    assert run_server.run(spec.uid, undisturbed, every=1e9) == "done"
    results = [Store(root).folder(spec.uid).result() for root in (store_root, undisturbed)]
    assert results[0] and results[1] and results[0]["weights_sha256"] == results[1]["weights_sha256"]


def test_failed_source_blocks_its_dependants_and_nobody_else(tiny_spec, store_root, load_plugin, tmp_path):
    load_plugin(BREAKS)
    store = Store(store_root)
    good, bad = tiny_spec("transfergan + baseline"), tiny_spec("freezed + baseline")
    broken = tiny_spec("breaks + class-conditional", seed=7)
    bad = bad.model_copy(update={"sources": {"network": broken}})
    runs = [planned(broken), planned(bad), planned(good)]  # the source of `good` is in nobody's list
    watcher = Record()
    outcomes = Queue(store, runs, ["cpu"], watcher, [str(tmp_path / "mine.py")]).work()
    (source,) = good.run_sources.values()
    assert outcomes == {broken.uid: "failed", bad.uid: "blocked", source.uid: "done", good.uid: "done"}
    assert store.folder(broken.uid).error() == "RuntimeError: broken on purpose"
    assert store.folder(bad.uid).status() == "planned"
    assert watcher.told.index(("done", source.uid)) < watcher.told.index(("started", good.uid))
    assert store.folder(good.uid).status() == "done"


def test_busy_run_is_waited_for(tiny_spec, store_root, monkeypatch):
    monkeypatch.setattr(local, "BUSY_SECONDS", 0.2)
    store = Store(store_root)
    held, free = tiny_spec(seed=0), tiny_spec(seed=1)
    lease = store.open(held).lease()
    lease.__enter__()
    refused = []

    def release():
        if not refused and queue.postponed.get(held.uid):
            refused.append(dict(queue.outcomes))
            lease.__exit__(None, None, None)

    queue = Queue(store, [planned(held), planned(free)], ["cpu"], Record(on_tick=release))
    assert queue.work() == {held.uid: "done", free.uid: "done"}
    assert refused and held.uid not in refused[0]


def test_a_run_that_kills_its_workers_is_given_up(tiny_spec, store_root, load_plugin, tmp_path, monkeypatch):
    load_plugin(BREAKS.replace('raise RuntimeError("broken on purpose")', "import os; os._exit(3)"))
    monkeypatch.setattr(local, "DEATHS", 2)
    store = Store(store_root)
    spec = tiny_spec("breaks + baseline")
    assert Queue(store, [planned(spec)], ["cpu"], Record(), [str(tmp_path / "mine.py")]).work() == {spec.uid: "failed"}
    assert "its worker ended 2 times (last exit status 3)" in store.folder(spec.uid).error()
    assert store.folder(spec.uid).status() == "failed"


def test_a_plugin_that_does_not_import_is_the_failure_of_the_runs_that_need_it(
    tiny_spec, store_root, load_plugin, tmp_path
):
    """Edited while the runs waited: the reason is recorded, tried once, and the others are trained."""
    load_plugin(BREAKS)
    store, watcher = Store(store_root), Record()
    needs, free = tiny_spec("fine + baseline"), tiny_spec()
    (tmp_path / "mine.py").write_text("raise RuntimeError('half an edit')")
    queue = Queue(store, [planned(needs), planned(free)], ["cpu"], watcher, [str(tmp_path / "mine.py")])
    assert queue.work() == {needs.uid: "failed", free.uid: "done"}
    error = store.folder(needs.uid).error()
    assert "method 'fine' is not there" in error
    assert f"plug-in '{tmp_path / 'mine.py'}' cannot be imported: RuntimeError: half an edit" in error
    assert store.folder(needs.uid).cause() == "method" and not queue.deaths
    assert [word for word, what in watcher.told if what == needs.uid] == ["started", "failed"]


def test_a_worker_that_cannot_start_says_why_and_is_not_tried_again(
    tiny_spec, store_root, tmp_path, monkeypatch, cold_workers
):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    store, spec = Store(store_root), tiny_spec()
    queue = Queue(store, [planned(spec)], ["cpu"], Record())
    assert queue.work() == {spec.uid: "failed"} and queue.deaths[spec.uid] == 1
    reason = "its worker could not start: ImportError: libcudart.so: no such file"
    assert store.folder(spec.uid).error() == reason and store.folder(spec.uid).cause() == "machine"


def test_slots(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert slots(3) == ["cpu"] * 3 and set(slots(None)) == {"cpu"}
    machine(*(Device(f"GPU-{number}") for number in range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert slots(None) == ["cuda:0", "cuda:1"] and slots(1) == ["cuda:0"]
    assert slots(2, "cpu") == ["cpu", "cpu"]
    with pytest.raises(
        UserError, match=r"^device mps: Apple's GPUs \(mps\) are not used: nothing here has been compared"
    ):
        slots(1, "mps")
    monkeypatch.setenv("BENCH_DEVICE", "gpu")
    with pytest.raises(UserError, match="^BENCH_DEVICE=gpu: did you mean 'cpu'"):
        slots(1)


TABLE = """
title: tiny
seeds: 2
snapshot: final
metrics: [fd]
rows: [{id: scratch, label: Scratch, method: baseline}]
columns: [{id: shapes, label: Shapes}]
scales:
  smoke:
    network: {name: sngan-32, options: {g_width: 8, d_width: 8, z_dim: 16, sn_generator: true}}
    train: {steps: 60, batch: 4, g_lr: 1.0e-3, d_lr: 1.0e-3, log_every: 50}
    protocol: {name: tiny, version: 1, every: 60, metrics: [{name: fd, extractor: effnet_lite0@32}]}
    columns:
      shapes: {data: {name: shapes, resolution: 32, shots: 16}, generated: 24, reference: 24}
"""


@pytest.fixture
def tiny_table(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TABLE)
    (tmp_path / "mine.py").write_text(BREAKS)
    return ["run", "tiny.yaml", "--jobs", "1", "--rows", "scratch", "--seeds", "0"]


@pytest.mark.slow
def test_ctrl_c_stops_and_the_same_command_continues(tiny_table, tmp_path, store_root, bench_command, wait_until):
    """And a method in a file outside the tree is a row of the same command."""
    command = [*tiny_table, "--plugin", "mine.py", "--method", "fine + baseline"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def at_work():
        assert process.poll() is None
        return any((run.heartbeat() or {"steps": 0})["steps"] for run in Store(store_root))

    wait_until(at_work)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "2 left: run the same command to continue" in out and "Traceback" not in err
    statuses = sorted(run.status() for run in Store(store_root))
    assert statuses == ["interrupted", "planned"]
    stopped = next(run for run in Store(store_root) if run.status() == "interrupted")
    step = stopped.heartbeat()["step"]
    assert 0 < step < 60

    done = bench_command(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs (1 interrupted, 1 planned); 2 to start" in done.stdout
    assert "2 runs finished\n" in done.stdout
    assert {run.status() for run in Store(store_root)} == {"done"}
    assert any(run.uid.startswith("fine+baseline_") for run in Store(store_root))
    report = bench_command("report", "tiny.yaml", "--plugin", "mine.py", "--method", "fine + baseline", cwd=tmp_path)
    assert "fine + baseline" in report.stdout, report.stderr

    again = bench_command(*command, cwd=tmp_path)
    assert again.returncode == 0 and "2 runs (2 done); 0 to start" in again.stdout
    hint = "bench report tiny.yaml --scale smoke --rows scratch --seeds 0 --method 'fine + baseline' "
    hint += f"--plugin {tmp_path / 'mine.py'}"
    assert again.stdout.splitlines()[-1] == f"see it: {hint}"
    assert not list((store_root / "logs").iterdir()), "workers that had nothing to say leave no log"


@pytest.mark.slow
def test_progress_lines_and_failures(tiny_table, tmp_path, bench_command):
    """Plain lines where stderr is no terminal; a failed run is exit status 1 with its reason in one line."""
    command = [*tiny_table, "--set", "train.steps=5", "--plugin", "mine.py", "--method", "breaks + baseline"]
    done = bench_command(*command, cwd=tmp_path)
    assert done.returncode == 1
    reason = next(line for line in done.stderr.splitlines() if "broken on purpose" in line)
    assert re.match(r"failed: breaks \+ baseline · shapes · seed 0 \(.*\) RuntimeError: broken", reason)
    assert "Traceback" not in done.stderr
    again = bench_command(*command, cwd=tmp_path)
    assert again.returncode == 1 and "--retry failed starts them again" in again.stderr


@pytest.mark.slow
def test_runs_that_do_not_fit_beside_each_other_follow_each_other(tiny_table, tmp_path, store_root, bench_command):
    """The table's `resources` reach the queue: two workers, one run at a time; one had been asked to stop before."""
    table = tmp_path / "tiny.yaml"
    table.write_text(table.read_text() + "    resources: {memory_gb: 100000}\n")
    command = ["run", "tiny.yaml", "--jobs", "2", "--rows", "scratch", "--set", "train.steps=12"]
    for spec in _specs(table):
        Store(store_root).open(spec).request_stop()
    done = bench_command(*command, cwd=tmp_path)
    assert done.returncode == 0 and "2 runs finished" in done.stdout, done.stderr
    # from the first loss to the result record: a run that had begun beside the other would overlap it
    spans = sorted(
        ((run.path / "provenance.json").stat().st_mtime, (run.path / "result.json").stat().st_mtime)
        for run in Store(store_root)
    )
    assert len(spans) == 2 and spans[0][1] <= spans[1][0], spans


@pytest.mark.slow
def test_runs_that_others_hold_leave_the_table_unfinished(tiny_table, tmp_path, store_root, bench_command):
    """Somebody else holds one of two runs: it is said, and the exit status is not that of a whole table."""
    held, _ = _specs(tmp_path / "tiny.yaml")
    folder = Store(store_root).open(held)
    with folder.lease():
        folder.beat("running", 5, 12, 1.0)
        command = ["run", "tiny.yaml", "--jobs", "1", "--set", "train.steps=12"]
        done = bench_command(*command, cwd=tmp_path)
        assert done.returncode == 1, done.stderr
        assert "1 run finished; 1 run at work elsewhere, not done yet\n" in done.stdout
        assert bench_command(*command, cwd=tmp_path).returncode == 1, "nothing to start, and yet not whole"
    folder.beat("stopped", 5, 12, None)
    done = bench_command(*command, cwd=tmp_path)
    assert done.returncode == 0 and "1 run finished\n" in done.stdout, done.stderr


@pytest.mark.slow
def test_reference_points_can_be_left_out(tiny_table, tmp_path, bench_command):
    table = tmp_path / "tiny.yaml"
    table.write_text(table.read_text().replace("scales:", "references: [floor, memorised]\nscales:"))
    assert "6 runs (6 planned)" in bench_command("plan", "tiny.yaml", cwd=tmp_path).stdout
    told = bench_command("plan", "tiny.yaml", "--no-references", cwd=tmp_path).stdout
    assert "2 runs (2 planned)" in told and "floor" not in told


def _specs(table):
    from bench.plan.load import load_table
    from bench.plan.runs import make_plan

    settings = {"train.steps": 12}
    plan = make_plan(load_table(str(table), settings), "smoke", Store(table.parent / "none"), rows=["scratch"])
    return [run.spec for run in plan.runs]
