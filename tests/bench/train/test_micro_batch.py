"""Gradient accumulation: the mean of micro-batches' gradients is the whole batch's where losses are means."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from bench.contract.composition import Composition
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.spec.run import RunSpec as Spec
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.optimizers import Optimizers
from bench.train.values import floats
from toy_loop import IMAGES, SGD, TABLE, ToyD, ToyG


class Terms(Method):
    """Conditions, and extra terms that are means over images."""

    def __init__(self):
        self.sizes = []

    def condition(self, ctx, batch):
        assert len(batch.index_N) == ctx.spec.train.batch  # drawn once, for the whole batch
        return TABLE[batch.index_N]

    def d_loss(self, ctx, step):
        self.sizes.append(len(step.batch.index_N))
        assert torch.equal(TABLE[step.batch.index_N], step.condition_NK)
        assert len(step.real_NCHW) == len(step.fake_NCHW) == len(step.real_logits_N) == self.sizes[-1]
        return {"square": step.real_logits_N.square().mean()}

    def g_loss(self, ctx, step):
        self.sizes.append(len(step.z_NZ))
        return {"size": step.images_NCHW.square().mean()}


def _trained(micro_batch, optimisers=SGD, steps=3):
    train = TrainSettings(
        steps=steps, batch=12, d_steps=2, g_lr=1e-2, d_lr=1e-2, micro_batch=micro_batch, loss="non-saturating"
    )
    data = DataSpec(name="noise", resolution=4)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=11)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ctx.generator, ctx.discriminator = ToyG().double(), ToyD().double()
    part = Terms()
    loop, logs = adversarial(ctx, Composition([("terms", part)]), optimisers.build(ctx)), []
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return ctx, logs, part


@pytest.mark.parametrize("micro_batch", [1, 4, 6])
def test_accumulation_is_the_whole_batch(micro_batch):
    whole, logs, _ = _trained(None)
    parts, accumulated, part = _trained(micro_batch)
    assert set(part.sizes) == {micro_batch}
    # Networks are float64; logits and images are float32 between them: rounding of 1e-7 relative on numbers near 1.
    for one, other in zip(whole.networks(), parts.networks(), strict=True):
        for (name, wanted), found in zip(one.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, msg=name)
            assert not torch.equal(wanted, torch.zeros_like(wanted))
    for wanted, found in zip(logs, accumulated, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    assert sum(map(len, parts.real_logits)) == sum(map(len, whole.real_logits)) == 24


def test_a_micro_batch_of_the_whole_batch_changes_no_bit():
    whole, logs, _ = _trained(None, Optimizers)
    same, again, _ = _trained(12, Optimizers)
    assert logs == again
    for one, other in zip(whole.networks(), same.networks(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_micro_batch_must_divide_the_batch():
    with pytest.raises(ValidationError, match="micro_batch is 5, must divide batch, which is 12"):
        TrainSettings(steps=1, batch=12, g_lr=1e-3, d_lr=1e-3, micro_batch=5)


def test_unused_settings_are_no_part_of_the_identity():
    data = DataSpec(name="noise", resolution=4)
    uids = []
    for extra in ({}, {"micro_batch": None, "adam_eps": None}, {"micro_batch": 4}, {"adam_eps": 1e-6}):
        train = TrainSettings(steps=1, batch=12, g_lr=1e-3, d_lr=1e-3, **extra)
        uids.append(Spec(method=(), network=None, data=data, train=train, protocol=None, seed=0).uid)
    assert uids[0] == uids[1] and len(set(uids)) == 3
