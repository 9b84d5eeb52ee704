"""`train.graphs`: updates that are recorded and repeated are those that Python makes, and others are refused.

Here a tape of torch's operations stands in for a CUDA graph: like it, it repeats the same operations on the same memory
and knows nothing of Python. What only a GPU can show, the capture itself, is tests/gpu's.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.conformance.checks import conformance_spec
from bench.contract.discovery import methods
from bench.errors import UserError
from bench.run.build import build_context
from bench.store.checkpoints import fingerprint
from bench.store.runs import Store
from bench.train import graphs
from bench.train.adversarial import make_updates
from bench.train.batches import Batches
from bench.train.graphs import Graphs, Recorder
from bench.train.optimizers import Optimizers
from bench.train.values import floats

STEPS = 9
# Methods and networks: `make_run`'s for None, else those of the conformance checks
RUNS = {
    "ada-lite(speed_kimg=0.02, target=-1.5, interval=2) + consistency + class-conditional": None,
    "minegan": None,
    "apa(speed_kimg=0.1, target=-1.5, interval=2) + lecam(start=2) + top-k(gamma=0.9) + class-conditional": None,
    "r3gan(gamma=2, gamma_end=0.2, burn_in_kimg=0.03) + baseline": None,
    "diffaugment + ssgan + freezed(blocks=1) + baseline": None,
    "r1(every=2) + path-length(every=3)": "stylegan2-32",
    "diffaugment + sle + ae-d(loss=l1)": "fastgan-64",
    "insgen(queue=6) + fakeclr(queue=6) + diggan + diffaugment + baseline": None,
    "chain(start_share=0, by=0.3, target=-1.5) + baseline": None,
}


class Tape(TorchDispatchMode):
    """Notes every operation with its tensors; `repeat` does them again, into the same tensors."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def repeat(self):
        for func, args, kwargs, result in self.operations:
            given = {place(tensor) for tensor in tensors([args, kwargs])}
            kept = [tensor for tensor in tensors(result) if place(tensor) not in given]  # the others are views
            if kept or func._schema.is_mutable:
                again = tensors(func(*args, **kwargs))
                if kept:
                    for old, new in zip(tensors(result), again, strict=True):
                        old.copy_(new)


def place(tensor):
    return tensor.untyped_storage().data_ptr()


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for one in values for tensor in tensors(one)]


def on_tape(run):
    with Tape() as tape:
        values = run()
    return values, tape.repeat


def prepared(method, make_run, source, root):
    if RUNS[method] is None:
        labels = np.arange(12) % 3
        run = make_run(method, steps=STEPS, sources=source, labels=labels, d_steps=2)
        return run.ctx, run.method
    return build_context(conformance_spec(method, RUNS[method]), Store(root), torch.device("cpu"))


def trained(ctx, parts, *, recorded):
    """What the steps gave, and the weights at the end; Adam in one operation, as a recording needs."""
    # A copy: the conformance checks share one `TrainSettings`, which other tests would get with this in it
    ctx.spec = ctx.spec.model_copy(update={"train": ctx.train.model_copy(update={"adam": "fused"})})
    for name, part in parts.parts:
        if name == "ada-lite":
            part.p.fill_(0.1)  # at 0 it changes nothing, which on a CPU is a decision in Python
    optimizers = Optimizers.build(ctx)
    batches = Batches(ctx.images_u8_NHWC, ctx.train.batch, ctx.spec.seed, resident=True)

    def updates(batch_of):
        return make_updates(ctx, parts, optimizers, batch_of)

    made = Graphs(ctx, parts, batches, updates, Recorder(on_tape, nullcontext))
    logs = []
    for step in range(STEPS):
        ctx.begin_step(step)
        parts.begin_step(ctx)
        values = made.make() if recorded else updates(lambda n: batches.at(ctx.step * ctx.train.d_steps + n))
        logs.append(floats({**values, **parts.after_step(ctx)}))
        ctx.step = step + 1
    return logs, fingerprint([network.state_dict() for network in ctx.networks()]), len(made.recordings)


@pytest.mark.slow
@pytest.mark.parametrize("method", RUNS)
def test_recorded_updates_are_those_of_python(method, make_run, source, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "WARM", 1)
    expected, weights, _ = trained(*prepared(method, make_run, source, tmp_path), recorded=False)
    found, recorded_weights, recordings = trained(*prepared(method, make_run, source, tmp_path), recorded=True)
    assert found == expected
    assert recorded_weights == weights and recordings >= 1


def test_every_method_says_whether_it_can_be_recorded_and_a_run_that_cannot_is_refused(tiny_spec, tmp_path):
    said = {entry.name: methods().load(entry.name).in_graphs for entry in methods()}
    assert all(reason is True or "does not say" not in reason for reason in said.values()), said
    for method, reason in [
        ("lt + baseline", "method 'lt' updates a network of its own after the step; leave graphs out"),
        ("baseline", "this run is on 'cpu': only a GPU's work can be recorded"),
    ]:
        with pytest.raises(UserError, match=reason):
            build_context(tiny_spec(method, graphs=True), Store(tmp_path), torch.device("cpu"))
