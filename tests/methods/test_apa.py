"""APA: which images it replaces, by what, and how often, against a transcription of the loop and of ADA's rule."""

from __future__ import annotations

import importlib

import pytest
import torch

from bench import seeds
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.train import Method
from toy_loop import BATCH, STEPS, TABLE, assert_same, context, hinge, linear, networks, train, transcribed

Apa = importlib.import_module("bench.methods.apa").Apa


def test_it_trains_as_a_transcription_does():
    """p rises by every batch at a target that D's signs are above, and each real is G's image or itself."""
    rule = {"target": -2.0, "interval": 1, "speed_kimg": 0.1}  # 24 images a step: p is 0, 0.24, 0.48
    ctx, pair, calls, replaced = context(), networks(), iter(range(100)), []
    logs = train(ctx, Apa(**rule))

    def reals(images, index):
        step, update = divmod(next(calls), 3)  # two updates of D, and one of G, which asks for no reals
        if update == 2:
            return images
        stream = seeds.torch_stream(11, "apa", step, update + 1)
        z, chance = torch.randn(BATCH, 3, generator=stream), torch.rand(BATCH, generator=stream)
        gate = chance < 0.24 * step
        replaced.append(int(gate.sum()))
        return torch.where(gate[:, None, None, None], pair[0](z, TABLE[index]).detach().float(), images)

    assert_same(ctx, logs, pair, transcribed(pair, hinge, linear, reals))
    assert [log["apa/p"] for log in logs] == pytest.approx([0.24, 0.48, 0.72])
    assert replaced[:2] == [0, 0] and 0 < sum(replaced[2:]) < 4 * BATCH


class Watching(Method):
    """Notes, for each update of D, which images D is shown as real, and which are the batch's."""

    def __init__(self):
        self.seen = []

    def d_loss(self, ctx, step):
        same_N = (step.raw_NCHW == step.batch.images_NCHW).flatten(1).all(1)
        assert step.batch.condition_NK is not None and torch.equal(step.batch.condition_NK, step.g_condition_NK)
        assert not step.raw_NCHW.requires_grad
        assert torch.equal(step.raw_fake_NCHW, step.fake_NCHW)  # nothing augments here
        self.seen.append(same_N)
        return {}


@pytest.mark.parametrize("micro_batch", [None, 4])
@pytest.mark.parametrize(("p", "own"), [(0.0, (72, 72)), (1.0, (0, 0)), (0.5, (20, 52))])
def test_reals_alone_are_replaced_and_as_often_as_p_says(p, own, micro_batch):
    part, watching = Apa(speed_kimg=1e9), Watching()
    part.law.p.fill_(p)
    train(context(micro_batch), part, watching)
    same_M = torch.cat(watching.seen)
    assert len(same_M) == STEPS * 2 * BATCH == 72
    assert own[0] <= int(same_M.sum()) <= own[1]  # of 72 coin flips: 36, give or take four deviations


def test_at_p_0_a_run_is_that_without_it():
    """But for batch norm's averages of another pass, which the toys do not have: what it draws is its own."""
    logs = [train(context(), *parts) for parts in ((), (Apa(target=2.0),))]
    for plain, ours in zip(*logs, strict=True):
        assert plain == {key: value for key, value in ours.items() if not key.startswith("apa/")}


@pytest.mark.parametrize("conditions", ["unconditional", "baseline", "disp(prior=random, prior_size=32)"])
def test_networks_with_and_without_conditions_give_it_images(make_run, conditions):
    run = make_run(f"apa(target=-2, interval=1, speed_kimg=0.01) + {conditions}").advance(3)
    assert run.logs[-1]["apa/p"] == pytest.approx(1.2)  # not clamped above
    assert run.logs[-1]["apa/r_t"] <= 1


def test_bad_settings_are_named():
    with pytest.raises(UserError, match="method 'apa': speed_kimg must be positive and interval at least 1"):
        build_method(parse_method("apa(interval=0)"))
