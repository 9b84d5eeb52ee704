"""A run that is killed at random moments ends with the very bits of an undisturbed one, for each kind of run."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest

from bench.store import checkpoints
from bench.store.runs import Store

# Plain and scored; transfer with frozen blocks, adaptive state, stateless augmentation and a prior; replaced loop with
# three optimisers; self-supervised and supervised source. Each part alone: tests/methods/test_methods_resume.py.
KINDS = {
    "baseline": {"scored": True},
    "freezed(blocks=2) + ada-lite(speed_kimg=0.05, target=-1.5) + diffaugment + disp(prior=alexnet, prior_size=63)": {
        "ema_ramp": False,
        "flip": True,
    },
    "glann(prior=alexnet, prior_size=63, fit_share=0.5)": {"steps": 18},
    "simclr(width=4)": {},
    "classifier(width=4)": {"flip": True},
}
KILLS = 3
STEPS = 30


def records(folder):
    """Everything of a finished run that must not depend on how often it was killed."""
    metrics = [{k: v for k, v in line.items() if k != "seconds"} for line in folder.metrics()]
    best = folder.state / "best.pt"
    return {
        "result": {k: v for k, v in folder.result().items() if k != "seconds"},
        "train.jsonl": (folder.path / "train.jsonl").read_text(),
        "metrics": metrics,
        "final": checkpoints.fingerprint(checkpoints.read_weights(folder.final_weights)),
        "best": checkpoints.fingerprint(checkpoints.read_weights(best)) if best.exists() else None,
        "files": sorted(str(file.relative_to(folder.path)) for file in folder.path.rglob("*") if file.is_file()),
        "samples": [file.read_bytes() for file in sorted(folder.path.glob("samples/*"))],
    }


def open_run(spec, root, server):
    """The folder of a run in a new store whose sources are trained."""
    store = Store(root)
    for source in spec.run_sources.values():
        store.open(source)
        assert server.run(source.uid, root) == "done"
    return store.open(spec)


def newest(folder):
    found = sorted(folder.state.glob("step-*.pt"))
    return int(found[-1].stem.removeprefix("step-")) if found else 0


@pytest.fixture
def until_past(wait_until):
    """Wait until a run has a checkpoint after step `before`, or its result."""

    def wait(folder, before):
        wait_until(
            lambda: newest(folder) > before or folder.result() is not None,
            every=0.001,
            otherwise=folder.error,
        )

    return wait


@pytest.fixture
def kill_once(run_server, until_past):
    """Start a run, wait until it is a few steps past its last checkpoint, then kill it at a random moment of a step.

    Steps and not seconds are drawn: the cores may be busier now than when the undisturbed run was timed, or less so.
    """

    def kill(folder, moment, span):
        before = newest(folder) + moment.randrange(3)
        pid = run_server.start(folder.uid, folder.path.parent)
        until_past(folder, before)
        time.sleep(moment.uniform(0, span))
        if folder.result() is None:
            os.kill(pid, signal.SIGKILL)
        return run_server.wait(pid)[0] == -signal.SIGKILL

    return kill


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
def test_killed_run_is_bit_equal(method, tiny_spec, run_server, kill_once, tmp_path):
    spec = tiny_spec(method, **{"steps": STEPS, **KINDS[method]})
    undisturbed = open_run(spec, tmp_path / "undisturbed", run_server)
    assert run_server.run(spec.uid, tmp_path / "undisturbed", every=1e9) == "done"
    killed = open_run(spec, tmp_path / "killed", run_server)
    seconds = undisturbed.result()["seconds"]
    moment = random.Random(method)
    kills = sum(kill_once(killed, moment, seconds / STEPS) for _ in range(KILLS))
    assert kills == KILLS, "the run was over before it could be killed; make it longer"
    assert 0 < newest(killed) < spec.train.steps
    assert killed.status() == "lost"
    assert run_server.run(spec.uid, tmp_path / "killed", every=1e9) == "done"
    assert records(killed) == records(undisturbed)
    starts = json.loads((killed.path / "provenance.json").read_text())
    assert len(starts) == KILLS + 1


@pytest.fixture(scope="module")
def plain(tiny_spec, run_server, tmp_path_factory):
    """An undisturbed run of the baseline."""
    root = tmp_path_factory.mktemp("plain")
    spec = tiny_spec("baseline", steps=STEPS)
    folder = open_run(spec, root, run_server)
    assert run_server.run(spec.uid, root, every=1e9) == "done"
    return folder


@pytest.mark.slow
def test_two_workers_race_for_one_run(plain, run_server, until_past, tmp_path):
    """Both are killed and started again at random: one has the run, the other leaves, the end is bit-equal."""
    spec = plain.spec()
    contested = open_run(spec, tmp_path / "contested", run_server)
    moment = random.Random(0)
    outcomes: list[tuple[int, str]] = []
    while contested.result() is None and len(outcomes) < 40:
        racers = [run_server.start(spec.uid, tmp_path / "contested") for _ in range(2)]
        until_past(contested, newest(contested))
        time.sleep(moment.uniform(0, 0.1))
        if len(outcomes) < 6:
            os.kill(moment.choice(racers), signal.SIGKILL)
        outcomes += [run_server.wait(pid) for pid in racers]
    assert {(0, "busy"), (0, "done")} <= set(outcomes) <= {(0, "busy"), (0, "done"), (-signal.SIGKILL, "")}
    assert records(contested) == records(plain)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_signal_stops_at_a_step_boundary(number, plain, run_server, wait_until, tmp_path):
    spec = plain.spec()
    folder = open_run(spec, tmp_path / "stopped", run_server)
    pid = run_server.start(spec.uid, tmp_path / "stopped", every=1e9)  # no checkpoint but the one at the stop
    wait_until(lambda: (folder.heartbeat() or {"steps": 0})["steps"] == STEPS, every=0.001, otherwise=folder.error)
    os.kill(pid, number)
    assert run_server.wait(pid) == (0, "stopped")
    step, state = checkpoints.latest(folder.state) or (0, {})
    assert 1 <= step == state["step"] < STEPS
    assert folder.status() == "interrupted" and folder.heartbeat()["step"] == step
    assert [line["step"] for line in folder.read_log()] == list(range(1, step + 1))
    assert run_server.run(spec.uid, tmp_path / "stopped", every=1e9) == "done"
    assert records(folder) == records(plain)
