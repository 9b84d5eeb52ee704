"""`precision`: which arithmetic a run has, whatever ran before it, and what bfloat16 leaves as it is."""

import pytest
import torch
from torch import nn

from bench.conformance.checks import conformance_spec
from bench.run.build import build_context
from bench.run.settings import Settings
from bench.run.training import Training
from bench.spec.run import RunSpec
from bench.store.runs import Store
from bench.train.device import set_precision


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_update_within_a_step_is_seen_by_the_next(precision, tiny_spec, tmp_path):
    """d_steps above 1, or GLANN's epochs: several updates in one step, each with a forward pass of its own."""
    spec = tiny_spec("unconditional", precision=precision)
    store = Store(tmp_path)
    training = Training(spec, store.open(spec), store, Settings(torch.device("cpu")))
    layer = nn.Linear(4, 4)
    x = torch.ones(1, 4)

    def updates():
        first = layer(x)
        assert first.dtype == {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        first.float().sum().backward()
        with torch.no_grad():
            layer.weight.add_(1)
        yield {"difference": float((layer(x) - first).detach().mean())}

    # Four weights more of 1: 4, in bfloat16 to 8 digits of the binary numbers near it.
    assert training.one_step(updates())["difference"] == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("method", ["simclr", "baseline"])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_used_where_the_run_asks_for_it_and_nowhere_else(method, precision, tmp_path):
    """Also without networks (SimCLR), and whatever torch's default or the worker's last run has left."""
    spec = conformance_spec(method)
    assert spec.train is not None
    changed = {**spec.model_dump(), "train": {**spec.train.model_dump(), "precision": precision}}
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = precision == "float32"
        build_context(RunSpec.model_validate(changed), Store(tmp_path), torch.device("cpu"))
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (precision == "tf32",) * 2
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_on_a_gpu_float32_takes_deterministic_algorithms(precision, tiny_spec):
    """A resumed float32 run is promised to end bit-equal, which cuDNN's fastest convolutions do not keep."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        set_precision(tiny_spec("unconditional", precision=precision), torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled() == (precision == "float32")
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = filled
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
