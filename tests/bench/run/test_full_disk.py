"""A full disk ends the run with a reason and its last good state; with room again it ends bit-equal."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from bench.store import checkpoints
from bench.store.runs import Store

STEPS = 16


@pytest.fixture
def stopped_halfway(tiny_spec, run_server, wait_until):
    """Start a run in a store and stop it when it has a checkpoint; its folder."""

    def stop(root):
        spec = tiny_spec(steps=STEPS)
        folder = Store(root).open(spec)
        pid = run_server.start(spec.uid, root, every=0.0)
        wait_until(lambda: list(folder.state.glob("step-*.pt")), every=0.001, otherwise=folder.error)
        os.kill(pid, signal.SIGTERM)
        assert run_server.wait(pid) == (0, "stopped")
        return folder

    return stop


def finish_and_compare(folder, server, tmp_path):
    spec = folder.spec()
    Store(tmp_path / "undisturbed").open(spec)
    assert server.run(spec.uid, tmp_path / "undisturbed", every=1e9) == "done"
    assert server.run(spec.uid, folder.path.parent, every=1e9) == "done"
    assert folder.status() == "done" and folder.error() is None
    whole = Store(tmp_path / "undisturbed").folder(spec.uid)
    results = folder.result(), whole.result()
    assert results[0] and results[1] and results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert folder.read_log() == whole.read_log()


@pytest.mark.slow
def test_file_size_limit(stopped_halfway, run_server, tmp_path):
    """The kernel refuses any write beyond 50 kB: records fit, a checkpoint does not."""
    folder = stopped_halfway(tmp_path / "runs")
    before = {path.name: path.read_bytes() for path in folder.state.iterdir()}
    assert run_server.run(folder.uid, tmp_path / "runs", file_limit=50_000) == "failed"
    assert {path.name: path.read_bytes() for path in folder.state.iterdir()} == before
    assert folder.result() is None and folder.status() == "failed"
    assert "File too large" in folder.error() and "--retry failed" in folder.error()
    assert "\n" not in folder.error() and folder.cause() == "machine"
    assert checkpoints.latest(folder.state) is not None
    finish_and_compare(folder, run_server, tmp_path)


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


def test_really_full_disk(stopped_halfway, run_server, small_disk, tmp_path):
    """Not a byte is left: not even the reason can be written, and still nothing is lost."""
    folder = stopped_halfway(small_disk / "runs")
    before = {path.name: path.read_bytes() for path in folder.state.iterdir()}
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            os.write(file.fileno(), bytes(4096))
    assert run_server.run(folder.uid, small_disk / "runs") == "failed"
    assert {path.name: path.read_bytes() for path in folder.state.iterdir()} == before
    assert folder.result() is None
    assert folder.status() in ("interrupted", "failed")
    ballast.unlink()
    finish_and_compare(folder, run_server, tmp_path)
