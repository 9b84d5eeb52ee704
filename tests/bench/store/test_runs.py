"""Run folders: exactly the files promised, records whole or absent, one worker at a time, honest statuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from bench.errors import UserError
from bench.files import atomic
from bench.store.lease import RunBusyError
from bench.store.liveness import STALE_SECONDS
from bench.store.runs import SeenRun, Store

FINISHED = {"diverged_at": None, "steps": 1}


@pytest.fixture
def folder(tiny_spec, store_root):
    return Store(store_root).open(tiny_spec())


def test_a_run_that_is_looked_at_reads_its_result_once(folder):
    seen = SeenRun(folder.path)
    folder.finish({**FINISHED, "weights_sha256": "0" * 64, "seconds": 1.0})
    result = seen.result()
    assert result == folder.result() and result["steps"] == 1
    (folder.path / "result.json").unlink()
    assert seen.result() is result and folder.result() is None


def test_a_finished_run_has_exactly_these_files(tiny_spec, run_server, store_root):
    spec = tiny_spec(steps=6, scored=True)
    folder = Store(store_root).open(spec)
    assert run_server.run(spec.uid, store_root) == "done"
    files = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    samples = {f"samples/step-{step:08d}.png" for step in (2, 4, 6)}
    assert files == samples | {
        "spec.json", "provenance.json", "inputs.json", "heartbeat.json", "lock", "train.jsonl",
        "metrics.jsonl", "result.json", "state/final.pt", "state/best.pt",
    }  # fmt: skip
    assert json.loads((folder.path / "spec.json").read_text()) == spec.model_dump(mode="json")
    result = folder.result()
    assert result["uid"] == spec.uid and result["steps"] == 6 and len(result["weights_sha256"]) == 64
    assert [(line["step"], line["metric"]) for line in folder.metrics()] == [(2, "fd"), (4, "fd"), (6, "fd")]
    assert all(line["n_generated"] == 24 and line["n_reference"] == 24 for line in folder.metrics())
    (start,) = json.loads((folder.path / "provenance.json").read_text())
    assert start["packages"]["torch"] and start["host"] == socket.gethostname() and "commit" in start
    assert folder.heartbeat()["state"] == "done"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    atomic.write_json(path, {"a": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_torn_line_is_cut_off_and_rewound(folder):
    folder.append(folder.train_log, [{"step": step, "loss": float("nan")} for step in (1, 2, 3, 4)])
    with (folder.path / "train.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    assert [line["step"] for line in folder.read_log()] == [1, 2, 3, 4]
    folder.rewind(3)
    folder.append(folder.train_log, [{"step": 4, "loss": 0.5}])
    assert [line["step"] for line in folder.read_log()] == [1, 2, 3, 4]
    assert (folder.path / "train.jsonl").read_text().endswith('{"step": 4, "loss": 0.5}\n')


def test_numbers_survive_rewinding_to_the_bit(folder):
    values = [0.1 + 0.2, 1e-308, 3.4028234663852886e38, -0.0]
    folder.append(folder.metrics_log, [{"step": 1, "value": value} for value in values])
    before = (folder.path / "metrics.jsonl").read_bytes()
    folder.rewind(1)
    assert (folder.path / "metrics.jsonl").read_bytes() == before


def test_a_start_clears_what_a_killed_worker_left(folder):
    folder.state.mkdir()
    leftover = folder.state / ".step-00000003.pt.host-1-2.tmp"
    leftover.write_bytes(b"half a checkpoint")
    folder.fail("reason")
    folder.begin({"commit": "a"})
    assert not leftover.exists() and folder.error() is None and folder.status() == "running"
    folder.begin({"commit": "b"})
    starts = json.loads((folder.path / "provenance.json").read_text())
    assert [start["commit"] for start in starts] == ["a", "b"]


HOLD = """
import sys, time
from pathlib import Path
from bench.store.runs import RunFolder
with RunFolder(Path(sys.argv[1])).lease():
    print("held", flush=True)
    time.sleep(60)
"""


def test_lease_keeps_other_processes_out_and_dies_with_its_own(folder):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RunBusyError), folder.lease():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with folder.lease(), pytest.raises(RunBusyError), folder.lease():
        pass
    with folder.lease():
        pass


def beat(folder, **changes):
    folder.beat("running", 3, 9, 1.5)
    path = folder.path / "heartbeat.json"
    atomic.write_json(path, json.loads(path.read_text()) | changes)


def test_fresh_heartbeat_of_another_host_keeps_out(folder):
    beat(folder, host="elsewhere")
    with pytest.raises(RunBusyError), folder.lease():
        pass
    beat(folder, host="elsewhere", time=time.time() - STALE_SECONDS - 1)
    with folder.lease():
        pass


def test_statuses(folder):
    dead = subprocess.Popen(["true"])
    dead.wait()
    assert folder.status() == "planned"
    beat(folder)
    assert folder.status() == "running"
    beat(folder, pid=dead.pid)
    assert folder.status() == "lost"
    beat(folder, host="elsewhere", pid=1)
    assert folder.status() == "running"
    beat(folder, host="elsewhere", time=time.time() - STALE_SECONDS - 1)
    assert folder.status() == "lost"
    folder.beat("stopped", 3, 9, None)
    assert folder.status() == "interrupted"
    folder.fail("Traceback\n  somewhere\nValueError: why")
    assert (folder.status(), folder.error()) == ("failed", "ValueError: why")
    folder.finish({**FINISHED, "diverged_at": 7})
    assert folder.status() == "diverged"
    folder.finish(FINISHED)
    assert (folder.status(), folder.error()) == ("done", None)


def test_a_folder_with_another_spec_is_refused(folder, tiny_spec, store_root):
    other = tiny_spec(seed=5)
    atomic.write_json(folder.path / "spec.json", other.model_dump(mode="json"))
    with pytest.raises(UserError, match="is not the spec of this run"):
        Store(store_root).open(tiny_spec())


@pytest.mark.parametrize("text", ["{", "[]", '{"seed": -1}', '"x"'])
def test_damaged_spec_is_named(text, folder):
    (folder.path / "spec.json").write_text(text)
    with pytest.raises(UserError, match=r"spec\.json.*move the run folder away") as caught:
        folder.spec()
    assert "\n" not in str(caught.value)


def test_a_run_that_is_set_aside_is_kept_whole_and_its_place_is_free(folder, tiny_spec, store_root):
    store = Store(store_root)
    folder.append(folder.metrics_log, [{"step": 1, "value": 2.5}])
    folder.finish(FINISHED)
    kept = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    places = [store.set_aside(folder.uid, "it was asked for")]
    assert folder.status() == "planned" and not folder.path.exists() and list(store) == []
    for name, content in kept.items():
        assert (places[0] / name).read_bytes() == content
    assert json.loads((places[0] / "set-aside.json").read_text())["why"] == "it was asked for"
    for _ in range(2):  # in the same second: nothing is overwritten
        store.open(tiny_spec()).finish(FINISHED)
        places.append(store.set_aside(folder.uid, "once more"))
    assert len(set(places)) == 3 and all((place / "result.json").exists() for place in places)
    assert all(place.parent == store_root / "set-aside" for place in places)


def test_a_run_at_work_is_never_set_aside(folder, store_root):
    folder.finish(FINISHED)
    before = sorted(store_root.rglob("*"))
    with folder.lease(), pytest.raises(UserError, match=f"'{folder.uid}' is at work; `bench cancel"):
        Store(store_root).set_aside(folder.uid, "no")
    assert sorted(store_root.rglob("*")) == sorted({*before, folder.path / "lock"})
    with pytest.raises(UserError, match="is not in .*nothing to set aside"):
        Store(store_root).set_aside("nobody", "no")


def test_the_lock_of_a_folder_that_was_set_aside_guards_nothing(folder, store_root, monkeypatch):
    """A worker that has opened the old folder's lock when the folder is moved must not take itself for its holder."""
    import fcntl

    folder.finish(FINISHED)
    flock, moved = fcntl.flock, []

    def move_first(descriptor, operation):
        if not moved:
            moved.append(True)
            Store(store_root).set_aside(folder.uid, "meanwhile")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", move_first)
    with pytest.raises(RunBusyError), folder.lease():
        pass


def test_a_store_is_its_run_folders_in_order(tiny_spec, store_root):
    store = Store(store_root)
    made = [store.open(tiny_spec(seed=seed)) for seed in (1, 0)]
    (store_root / "slurm").mkdir()
    assert [folder.uid for folder in store] == sorted(folder.uid for folder in made)
