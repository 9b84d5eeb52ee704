"""A full disk ends the run with a reason and its last good state; with room again it ends bit-equal."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from bench.store import checkpoints
from bench.store.runs import Store

STEPS = 16


def stopped_halfway(spec, root, server):
    """A run with a checkpoint, stopped."""
    folder = Store(root).open(spec)
    pid = server.start(spec.uid, root, every=0.0)
    while not list(folder.state.glob("step-*.pt")):
        time.sleep(0.001)
    os.kill(pid, signal.SIGTERM)
    assert server.wait(pid) == (0, "stopped")
    return folder


def finish_and_compare(spec, folder, server, tmp_path):
    Store(tmp_path / "undisturbed").open(spec)
    assert server.run(spec.uid, tmp_path / "undisturbed") == "done"
    assert server.run(spec.uid, folder.path.parent) == "done"
    assert folder.status() == "done" and folder.error() is None
    whole = Store(tmp_path / "undisturbed").folder(spec.uid)
    results = folder.result(), whole.result()
    assert results[0] and results[1] and results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert folder.read_log() == whole.read_log()


def test_file_size_limit(tiny_spec, run_server, tmp_path):
    """The kernel refuses any write beyond 50 kB: records fit, a checkpoint does not."""
    spec = tiny_spec(steps=STEPS)
    folder = stopped_halfway(spec, tmp_path / "runs", run_server)
    before = {path.name: path.read_bytes() for path in folder.state.iterdir()}
    assert run_server.run(spec.uid, tmp_path / "runs", file_limit=50_000) == "failed"
    assert {path.name: path.read_bytes() for path in folder.state.iterdir()} == before
    assert folder.result() is None and folder.status() == "failed"
    assert "File too large" in folder.error() and "--retry failed" in folder.error()
    assert "\n" not in folder.error() and folder.cause() == "machine"
    assert checkpoints.latest(folder.state) is not None
    finish_and_compare(spec, folder, run_server, tmp_path)


@pytest.fixture
def small_disk(tmp_path, lacks):
    """A file system of its own that holds three or four checkpoints."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        lacks("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_really_full_disk(tiny_spec, run_server, small_disk, tmp_path):
    """Not a byte is left: not even the reason can be written, and still nothing is lost."""
    spec = tiny_spec(steps=STEPS)
    folder = stopped_halfway(spec, small_disk / "runs", run_server)
    before = {path.name: path.read_bytes() for path in folder.state.iterdir()}
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            os.write(file.fileno(), bytes(4096))
    assert run_server.run(spec.uid, small_disk / "runs") == "failed"
    assert {path.name: path.read_bytes() for path in folder.state.iterdir()} == before
    assert folder.result() is None
    assert folder.status() in ("interrupted", "failed")
    ballast.unlink()
    finish_and_compare(spec, folder, run_server, tmp_path)
