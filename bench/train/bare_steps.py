"""The steps of a training by themselves, without scores, checkpoints and records: for what measures a step's work."""

from __future__ import annotations

from collections.abc import Generator

from bench.contract.composition import Composition
from bench.contract.context import Context
from bench.train.adversarial import adversarial
from bench.train.device import autocast
from bench.train.drawn_ahead import fed
from bench.train.ema import update_ema
from bench.train.optimizers import Optimizers
from bench.train.values import floats


class BareSteps:
    """The loop of a context and its method, one step at a time; `close` ends the thread that reads its images."""

    def __init__(self, ctx: Context, method: Composition) -> None:
        self.ctx = ctx
        loop = method.fit(ctx) if method.replaces_loop else adversarial(ctx, method, Optimizers.build(ctx))
        self.steps = fed(ctx, loop)

    def make(self, number: int) -> dict[str, float]:
        """Make step `number`, from 0, with G's average after it, and return its losses."""
        self.ctx.begin_step(number)
        return self.go_on(number)

    def go_on(self, number: int) -> dict[str, float]:
        """`make`, of a step that has begun (`ctx.begin_step`)."""
        ctx, train = self.ctx, self.ctx.spec.train
        assert train is not None
        with autocast(train, ctx.device):
            logs = next(self.steps)
        if ctx.ema is not None and ctx.generator is not None:
            update_ema(ctx.ema, ctx.generator, train.ema_decay, number + 1, ramp=train.ema_ramp)
        ctx.step = number + 1
        return floats(logs)

    def close(self) -> None:
        """Leave the loop, wherever it is."""
        if isinstance(self.steps, Generator):
            self.steps.close()
