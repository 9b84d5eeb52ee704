"""The steps of a training: the adversarial loop or a method's own, fed as its device wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

from bench.contract.base import Logged
from bench.contract.composition import Composition
from bench.contract.context import Context
from bench.train.adversarial import adversarial
from bench.train.drawn_ahead import drawing_ahead
from bench.train.optimizers import Optimizers


def training_steps(ctx: Context, method: Composition, optimizers: Optimizers | None) -> Iterator[Logged]:
    """An item a step, its values to log; optimizers: None of a method that brings its own loop.

    Random numbers are drawn ahead for a device that is not a CPU. Closing the iterator ends the threads that feed it.
    """
    ahead = nullcontext() if ctx.device.type == "cpu" else drawing_ahead(ctx, ctx.train.steps)
    with ahead:
        if method.replaces_loop:
            yield from method.fit(ctx)
        else:
            assert optimizers is not None
            yield from adversarial(ctx, method, optimizers)
