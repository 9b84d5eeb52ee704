"""The exponential moving average of the generator, from which images are drawn at evaluation."""

from __future__ import annotations

import copy

import torch
from torch import nn

from bench.networks.interface import Generator


def make_ema(generator: Generator) -> Generator:
    """A copy of the generator in evaluation mode, without gradients."""
    return copy.deepcopy(generator).eval().requires_grad_(False)


def ema_decay(decay: float, step: int, *, ramp: bool) -> float:
    """The decay of update `step` = 1, 2, ...: min(decay, (1 + step) / (10 + step)) with a ramp, else decay.

    With the ramp the first update's decay is 2/11, and a decay d is reached at step (10 d - 1) / (1 - d): 0.999 at
    8,990, 0.9999 at 89,990, which a run of 30,000 steps does not see (0.9997 at its end). Without it the initial
    weights still weigh decay^n after n updates, 78 % at 0.999 and n = 250.
    """
    return min(decay, (1 + step) / (10 + step)) if ramp else decay


@torch.no_grad()
def update_ema(ema: nn.Module, generator: nn.Module, decay: float, step: int, *, ramp: bool) -> None:
    """In place: parameters <- d * average + (1 - d) * current with d = `ema_decay(...)`; buffers are copied.

    Buffers are copied on purpose. Batch norm's statistics are running means already, and would lag behind if averaged
    again. The spectral norm's singular vectors have no fixed sign, so their average is neither of length 1 nor
    singular. A step counter has no average.
    decay lies in [0, 1); step counts the updates of this average from 1: it is how many steps G has then made.
    """
    weight = 1 - ema_decay(decay, step, ramp=ramp)
    # One call for all tensors: in a network of small layers Python would otherwise cost more than the sums.
    torch._foreach_lerp_(list(ema.parameters()), list(generator.parameters()), weight)
    buffers = list(ema.buffers())
    if buffers:
        torch._foreach_copy_(buffers, list(generator.buffers()))
