"""What hooks of the adversarial step may not give, and parts that may not stand together."""

from __future__ import annotations

import math

import pytest
import torch

from bench.contract.composition import Composition
from bench.errors import UserError
from bench.train import Method
from toy_loop import (
    context,
    train,
)


class TopK(Method):
    def g_weights(self, ctx, step):
        return torch.ones(len(step.z_NZ))


class Relativistic(Method):
    def d_adversarial(self, ctx, step):
        return step.fake_logits_N - step.real_logits_N

    def g_adversarial(self, ctx, step):
        return step.real_logits() - step.logits_N


def test_weights_that_are_no_number_an_image_are_refused():
    class Column(Method):
        def g_weights(self, ctx, step):
            return torch.ones(len(step.z_NZ), 1)  # would broadcast to (N, N)

    with pytest.raises(ValueError, match=r"weights have shape \(12, 1\), must be \(12,\)"):
        train(context(), Column())


def test_weights_pass_no_gradient_on():
    class Own(Method):
        def g_weights(self, ctx, step):
            return step.logits_N.sigmoid()

    class Cut(Method):
        def g_weights(self, ctx, step):
            return step.logits_N.detach().sigmoid()

    first, second = context(), context()
    assert train(first, Own()) == train(second, Cut())


def test_weights_that_are_not_finite_show_in_the_log():
    class Broken(Method):
        def d_weights(self, ctx, step):
            return torch.full((len(step.real_NCHW),), math.inf), None

    assert math.isinf(train(context(), Broken())[0]["d_real_weight"])


def test_reals_of_another_number_are_refused():
    class Fewer(Method):
        def reals(self, ctx, batch, images_NCHW):
            return images_NCHW[:3]

    with pytest.raises(ValueError, match="method 'fewer': reals gives shape"):
        train(context(), Fewer())


def test_a_weight_in_a_replaced_loss_is_refused():
    with pytest.raises(UserError, match="'topk' weighs images .g_weights. in a loss that method 'pair' replaces"):
        Composition([("topk", TopK()), ("pair", Relativistic())])


@pytest.mark.parametrize("hook", ["discriminator", "d_condition", "d_adversarial", "g_adversarial", "select"])
def test_exclusive_hooks_belong_to_one_part(hook):
    parts = [(name, type(name, (Method,), {hook: lambda self, *_: None})()) for name in ("one", "two")]
    with pytest.raises(UserError, match=f"'one' and 'two' both claim the hook '{hook}'"):
        Composition(parts)


def test_parts_of_a_loop_that_does_not_run_are_refused():
    class Loop(Method):
        def fit(self, ctx):
            yield {}

    with pytest.raises(UserError, match=r"'loop' trains without the adversarial loop, so 'topk' .*\(g_weights\)"):
        Composition([("topk", TopK()), ("loop", Loop())])
