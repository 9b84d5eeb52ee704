"""`train.compile`: compiled blocks give what the written ones give, and second derivatives go through written ones.

With torch's backend "aot_eager", which traces and splits passes as the usual one does and needs no C++ compiler.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.networks.common import compiled
from bench.networks.common.compiled import as_written, compile_blocks
from bench.networks.common.layers import FirstDownBlock, spectral
from bench.networks.interface import HasBlocks


class Small(nn.Module, HasBlocks):
    """One block of a discriminator, and the sum of what it gives."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([FirstDownBlock(3, 4, spectral)])

    def forward(self, images_NCHW):
        return torch.tanh(self.blocks[0](images_NCHW)).sum((1, 2, 3))


def penalty(network, images_NCHW):
    leaf_NCHW = images_NCHW.clone().requires_grad_()
    (gradient_NCHW,) = torch.autograd.grad(network(leaf_NCHW).sum(), leaf_NCHW, create_graph=True)
    return gradient_NCHW.square().sum()


@pytest.mark.slow
def test_compiled_blocks_give_the_same_and_are_derived_twice_as_written(monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, images_NCHW = Small().eval(), torch.rand(2, 3, 8, 8)
    logits_N, squares = network(images_NCHW), penalty(network, images_NCHW)
    squares.backward()
    expected = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()

    compile_blocks(network)
    torch.testing.assert_close(network(images_NCHW), logits_N)
    with pytest.raises(RuntimeError):  # why `as_written` is there
        penalty(network, images_NCHW).backward()
    network.zero_grad()
    with as_written(compiled=True):
        found = penalty(network, images_NCHW)
    assert torch.equal(found, squares)
    found.backward()
    grads = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert len(grads) == len(expected) and all(map(torch.equal, grads, expected))


def test_what_cannot_be_compiled_is_refused(monkeypatch):
    with pytest.raises(UserError, match="this one has none; leave compile out"):
        compile_blocks(nn.Linear(2, 2))
    monkeypatch.delattr(torch.compiler, "set_stance")
    with pytest.raises(UserError, match="needs torch 2.6"):
        compile_blocks()
