"""What `precision: bfloat16` leaves as it is: the weights that each of a step's updates sees are the newest."""

import pytest
import torch
from torch import nn

from bench.store import Store
from bench.train.run import Settings, Training


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
    assert training._one_step(updates())["difference"] == pytest.approx(4, abs=0.05)
