"""A run whose images are read from disk by a thread: stopped anywhere it goes on with the same batches, and it ends."""

from __future__ import annotations

import errno
import os
import signal
import threading

import pytest
import torch

from bench.run.execute import execute
from bench.run.settings import Settings
from bench.spec.run import DataSpec
from bench.store import checkpoints
from bench.store.runs import Store
from bench.train import batches

WHOLE = DataSpec(name="shapes", resolution=32)  # 256 images, a memory map
STEPS = 6
KINDS = {  # with the steps after which they are stopped
    "unconditional": ({"batch": 48, "d_steps": 2, "flip": True}, (1, 2, 5)),  # over the ends of two passes
    "simclr(width=4)": ({"batch": 100}, (1, 4)),
    "glann(prior=random, prior_size=32, fit_share=0.5)": ({"batch": 8, "steps": 4}, (1,)),
}


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def attempt(tiny_spec, tmp_path):
    """One attempt at a run in a store; returns its outcome and folder. stop: the step after which it is stopped."""

    def attempt(spec, name, stop=None, on_step=lambda *_: None):
        store = Store(tmp_path / name)
        for source in spec.run_sources.values():
            execute(store.open(source).uid, store, settings, lambda: False, lambda *_: None)
        steps = []

        def counted(step, of):
            steps.append(step)
            on_step(step, of)

        outcome = execute(store.open(spec).uid, store, settings, lambda: stop in steps, counted)
        return outcome, store.folder(spec.uid)

    settings = Settings(torch.device("cpu"), checkpoint_seconds=1e9)
    return attempt


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_stopped_after_any_step_and_with_or_without_the_thread_it_is_the_same_run(
    method, attempt, tiny_spec, monkeypatch
):
    settings, stops = KINDS[method]
    spec = tiny_spec(method, data=WHOLE, **{"steps": STEPS, **settings})
    with monkeypatch.context() as patch:
        patch.setattr(batches, "is_mapped", lambda images: False)
        outcome, without = attempt(spec, "without", on_step=lambda *_: readers() and pytest.fail("a thread"))
    assert outcome == "done"
    seen = []
    for stop in stops:
        store = f"stopped at {stop}"
        assert attempt(spec, store, stop, on_step=lambda *_: seen.append(len(readers())))[0] == "stopped"
        assert readers() == []
        outcome, folder = attempt(spec, store, on_step=lambda *_: seen.append(len(readers())))
        assert outcome == "done" and readers() == []
        assert folder.result()["weights_sha256"] == without.result()["weights_sha256"]
        assert folder.read_log() == without.read_log()
    assert max(seen) == 1, "the images were not read by a thread"


def test_an_error_of_the_disk_fails_the_step_that_needs_the_images(attempt, tiny_spec, monkeypatch):
    spec, read, calls = tiny_spec("unconditional", steps=12, data=WHOLE), batches.rows, []

    def broken(images, index_N):
        calls.append(index_N)
        if len(calls) == 8:
            raise OSError(errno.EIO, os.strerror(errno.EIO), "train.npy")
        return read(images, index_N)

    monkeypatch.setattr(batches, "rows", broken)
    reached = []
    outcome, folder = attempt(spec, "broken", on_step=lambda step, _: reached.append(step))
    assert outcome == "failed" and reached == list(range(1, 8)), "the first seven batches were read"
    assert "Input/output error: 'train.npy'" in folder.error() and folder.cause() == "machine"
    assert readers() == []


def test_a_failing_method_leaves_no_thread(attempt, tiny_spec, load_plugin):
    load_plugin(
        '"""Breaks."""\nfrom bench.train import Method\n\nclass Breaks(Method):\n    """Raises."""\n\n'
        '    def after_step(self, ctx):\n        raise RuntimeError("broken on purpose")\n'
    )
    outcome, folder = attempt(tiny_spec("breaks", steps=STEPS, data=WHOLE), "breaks")
    assert outcome == "failed" and "broken on purpose" in folder.error()
    assert readers() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_while_the_thread_reads(number, tiny_spec, run_server, wait_until, tmp_path):
    spec = tiny_spec("unconditional", steps=100_000, data=WHOLE)
    folder = Store(tmp_path).open(spec)
    pid = run_server.start(spec.uid, tmp_path, every=1e9)
    wait_until(lambda: (folder.heartbeat() or {"step": 0})["step"] > 0, otherwise=folder.error)
    os.kill(pid, number)
    assert run_server.wait(pid) == (0, "stopped")
    assert checkpoints.latest(folder.state) is not None and folder.status() == "interrupted"
