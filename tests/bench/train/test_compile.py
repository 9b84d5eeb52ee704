"""`train.compile`: compiled blocks give what the written ones give, and second derivatives go through written ones.

With torch's backend "aot_eager", which traces and splits passes as the usual one does and needs no C++ compiler.
"""

from __future__ import annotations

import pytest
import torch

from bench.conformance.checks import conformance_spec
from bench.errors import UserError
from bench.networks.common import compiled
from bench.run.build import build_context
from bench.store.runs import Store
from bench.train.loop import training_steps
from bench.train.optimizers import Optimizers
from bench.train.values import floats


def logs(method, network, root, *, compile):
    spec = conformance_spec(method, network)
    object.__setattr__(spec.train, "compile", compile)
    ctx, parts = build_context(spec, Store(root), torch.device("cpu"))
    steps, seen = training_steps(ctx, parts, Optimizers.build(ctx)), []
    for step in range(2):
        ctx.begin_step(step)
        seen.append(floats(next(steps)))
        ctx.step = step + 1
    steps.close()
    return seen


@pytest.mark.slow
def test_a_compiled_step_with_a_gradient_penalty_is_the_written_one(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    made = []
    compile_blocks = torch.nn.Module.compile
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda block, **how: (made.append(block), compile_blocks(block, **how))
    )
    one, other = (logs("r1 + baseline", "sngan-32", tmp_path, compile=how) for how in (False, True))
    assert len(made) > 3
    for expected, found in zip(one, other, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)  # float32, other orders of sums, two steps of Adam


def test_what_cannot_be_compiled_is_refused(monkeypatch):
    with pytest.raises(UserError, match="this one has none; leave compile out"):
        compiled.compile_blocks(torch.nn.Linear(2, 2))
    monkeypatch.delattr(torch.compiler, "set_stance")
    with pytest.raises(UserError, match="needs torch 2.6"):
        compiled.compile_blocks()
