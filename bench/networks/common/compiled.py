"""`train.compile`: which parts of a network torch.compile makes faster, and passes that must run as written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from bench.errors import UserError
from bench.networks.interface import HasBlocks, Styled

BACKEND = "inductor"  # torch.compile's usual one


def compile_blocks(*networks: nn.Module) -> None:
    """Compile the blocks of each network, in place; whoever calls them later gets what was compiled.

    Blocks, because methods call parts of a network by themselves (features, both scales, styles), which a network that
    is compiled as a whole would run as written; and because equal blocks are compiled once. Raises UserError for a
    network without blocks, and for a torch that cannot run a compiled network as written (before 2.6).
    """
    if "set_stance" not in vars(torch.compiler):
        raise UserError(f"train: compile is true, which needs torch 2.6 or newer; this is {torch.__version__}")
    for network in networks:
        holder = network.synthesis if isinstance(network, Styled) else network
        if not isinstance(holder, HasBlocks):
            raise UserError(
                "train: compile is true, which compiles a network's blocks, and this one has none; leave compile out"
            )
        for block in holder.blocks:
            block.compile(backend=BACKEND)


@contextmanager
def as_written(*, compiled: bool) -> Iterator[None]:
    """Inside, networks run as they are written, also where they are `compiled`: for passes that are derived twice.

    torch.compile has no second derivative: a gradient penalty through a compiled pass is an error.
    """
    if not compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
