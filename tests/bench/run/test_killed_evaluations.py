"""An evaluation that is killed at random moments, or asked to stop, ends with the record of an undisturbed one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time

import pytest

from bench.spec.run import DataSpec, RunSpec
from bench.store import checkpoints
from bench.store.runs import Store
from evaluated import evaluation, finished

SHAPES = DataSpec(name="shapes", resolution=32)
TIMES = {"seconds", "memory"}
KILLED, ASKED = (signal.SIGKILL,), (signal.SIGTERM, signal.SIGINT)
ON = {"extractor": "effnet_lite0@32"}
# One that fits latents, one of many images, and one whose classifier is trained on the run's samples: the method of the
# run, settings, and the signals that end it, each at a random moment
KINDS = {
    "inversion": ("unconditional", {"images": 6, "steps": 120, "start": "mean", **ON}, KILLED * 5 + ASKED),
    "data-copying": ("unconditional", {"images": 100, "trials": 5, "pca": 8, "real": 40, **ON}, KILLED * 2 + ASKED[:1]),
    "classification-accuracy": ("class-conditional", {}, KILLED * 2 + ASKED[1:]),
}


@pytest.fixture(scope="module")
def tasks(tiny_spec, tmp_path_factory):
    """A store with all that is evaluated, and the evaluation of each kind."""
    store = Store(tmp_path_factory.mktemp("trained"))
    found = {}
    for kind, (method, settings, _) in KINDS.items():
        run, sources = tiny_spec(method, scored=True, data=SHAPES), {}
        finished(store, run)
        if kind == "classification-accuracy":
            plain = tiny_spec("classifier(on=samples, width=4)", data=SHAPES, steps=3, batch=16)
            fields = {name: getattr(plain, name) for name in RunSpec.model_fields}
            sources = {"classifier": RunSpec(**{**fields, "sources": {"run": run}})}
            finished(store, sources["classifier"])
        found[kind] = evaluation(run, sources, measure=kind, **settings)
    return store, found


def timeless(value):
    """What is left of a record without its times."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in TIMES}
    return value


def record(folder):
    """Every file of a finished task: what must not depend on how often it was begun."""
    read = {"metrics": [timeless(line) for line in folder.metrics()], "result": timeless(folder.result())}
    read["inputs"] = {name: value for name, value in folder.inputs().items() if name != "starts"}
    read["weights"] = [checkpoints.fingerprint(checkpoints.read_weights(each)) for each in folder.path.rglob("*.pt")]
    read["files"] = sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())
    read["pictures"] = [path.read_bytes() for path in sorted(folder.path.rglob("*.png"))]
    return read


def attempt(task, store, server, wait_until, number, after):
    """Begin a task, and send it a signal so many seconds after it has said what it reads; how it ended."""
    folder, before = store.open(task), len(starts(store.folder(task.uid)))
    pid = server.start(task.uid, store.root, every=0.05)
    wait_until(lambda: len(starts(folder)) > before or folder.result() is not None, every=0.001, otherwise=folder.error)
    time.sleep(after)
    if folder.result() is None:
        os.kill(pid, number)
    return server.wait(pid)


def struck(task, store, server, wait_until, number, after):
    """As `attempt`, while it is at work: where it is done before the signal comes, once more with half the wait."""
    path = store.folder(task.uid).path
    before = store.root.with_name("before")
    while True:
        shutil.copytree(path, before)
        ended = attempt(task, store, server, wait_until, number, after)
        if ended != (0, "done"):
            shutil.rmtree(before)
            return ended
        # Faster than the undisturbed one was, on a machine that does other things too
        shutil.rmtree(path)
        before.rename(path)
        after /= 2


def starts(folder):
    """An entry for each time that it was begun."""
    return json.loads(folder.provenance_file.read_text()) if folder.provenance_file.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbed_evaluation_has_the_record_of_an_undisturbed_one(kind, tasks, store_root, run_server, wait_until):
    trained, found = tasks
    whole, disturbed = (Store(store_root / name) for name in ("whole", "disturbed"))
    for store in (whole, disturbed):
        shutil.copytree(trained.root, store.root)
    task, moment = found[kind], random.Random(kind)
    folder, again = whole.open(task), disturbed.open(task)
    assert run_server.run(task.uid, whole.root) == "done", folder.error()
    for number in KINDS[kind][2]:
        after = moment.uniform(0, 0.6 * folder.result()["seconds"])
        killed = number == signal.SIGKILL
        ended = struck(task, disturbed, run_server, wait_until, number, after)
        assert ended == ((-signal.SIGKILL, "") if killed else (0, "stopped"))
        assert (again.metrics(), again.sheets(), again.result()) == ([], [], None), "all at once or nothing"
        assert again.status() == ("lost" if killed else "interrupted")
    assert run_server.run(task.uid, disturbed.root) == "done", again.error()
    assert record(again) == record(folder)
    assert len(starts(again)) == len(KINDS[kind][2]) + 1
