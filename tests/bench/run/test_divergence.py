"""A run whose loss is no longer a number is a result: it says where, and it is not tried again."""

from __future__ import annotations

import pytest
import torch

from bench.plan.load import load_table
from bench.plan.runs import Plan
from bench.plan.schedule import PlannedRun
from bench.run.execute import execute
from bench.run.settings import Settings
from bench.store.runs import Store

EXPLODES = '''
import torch
from bench.train import Method


class Explodes(Method):
    """Its loss is NaN at a step."""

    def __init__(self, *, at: int = 3) -> None:
        self.at = at

    def g_loss(self, ctx, step):
        return {"boom": torch.tensor(float("nan") if ctx.step + 1 == self.at else 0.0)}


class Breaks(Method):
    """It raises."""

    def after_step(self, ctx):
        raise RuntimeError("broken on purpose")
'''


@pytest.fixture
def plugin(load_plugin):
    assert load_plugin(EXPLODES) == ["explodes", "breaks"]


def run(spec, root):
    torch.set_num_threads(1)
    store = Store(root)
    folder = store.open(spec)
    settings = Settings(torch.device("cpu"), checkpoint_seconds=1e9)
    return folder, lambda: execute(spec.uid, store, settings, lambda: False, lambda *_: None)


def test_divergence_is_a_result(plugin, tiny_spec, store_root):
    spec = tiny_spec("explodes(at=3) + baseline", steps=6)
    folder, attempt = run(spec, store_root)
    assert attempt() == "diverged"
    result = folder.result()
    assert result["diverged_at"] == 3 and result["steps"] == 3
    assert "explodes/boom" in result["diverged_in"]
    assert folder.status() == "diverged" and folder.error() is None
    assert [line["step"] for line in folder.read_log()] == [1, 2]  # what came before is kept
    before = sorted(path.stat().st_mtime_ns for path in folder.path.rglob("*.json*"))
    assert attempt() == "diverged"  # asked again, it answers from the record
    assert sorted(path.stat().st_mtime_ns for path in folder.path.rglob("*.json*")) == before
    planned = Plan(load_table("table1"), "smoke", [PlannedRun(spec, status=folder.status())])
    assert planned.to_start("all") == []


def test_failure_is_not_a_result(plugin, tiny_spec, store_root):
    spec = tiny_spec("breaks + baseline", steps=6)
    folder, attempt = run(spec, store_root)
    assert attempt() == "failed"
    assert folder.result() is None and folder.status() == "failed"
    assert folder.error() == "RuntimeError: broken on purpose" and folder.cause() == "method"
    assert "Traceback" in (folder.path / "error.txt").read_text()
    planned = Plan(load_table("table1"), "smoke", [PlannedRun(spec, status="failed")])
    assert planned.to_start(None) == [] and len(planned.to_start("failed")) == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ('RuntimeError("CUDA error: uncorrectable ECC error encountered")', "machine"),
        ('RuntimeError("Found no NVIDIA driver on your system")', "machine"),
        ('OSError(116, "Stale file handle")', "machine"),
        ('torch.OutOfMemoryError("CUDA out of memory; see CUDA error codes")', "method"),
        ('RuntimeError("mat1 and mat2 shapes cannot be multiplied")', "method"),
        ('FileNotFoundError(2, "No such file")', "method"),
    ],
)
def test_whose_fault_a_failure_is(error, cause, load_plugin, tiny_spec, store_root):
    load_plugin(EXPLODES.replace('RuntimeError("broken on purpose")', error))
    folder, attempt = run(tiny_spec("breaks + baseline", steps=6), store_root)
    assert attempt() == "failed" and folder.cause() == cause


def test_retried_failure_that_is_interrupted_no_longer_counts_as_failed(plugin, tiny_spec, store_root):
    spec = tiny_spec("baseline", steps=6)
    store = Store(store_root)
    folder = store.open(spec)
    folder.fail("a disk was full")
    assert folder.status() == "failed"
    settings = Settings(torch.device("cpu"), checkpoint_seconds=1e9)
    assert execute(spec.uid, store, settings, lambda: True, lambda *_: None) == "stopped"
    assert folder.status() == "interrupted" and folder.error() is None
