"""LeCam: its running means and its term against transcriptions in float64, in the engine's loop and by themselves."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.contract.composition import build_method
from bench.contract.context import DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from toy_loop import assert_same, context, hinge, linear, networks, train, transcribed

LeCam = importlib.import_module("bench.methods.lecam").LeCam


def _step(real, fake):
    return DStep(None, None, None, None, torch.tensor(real), torch.tensor(fake), None)


def _context(step):
    return SimpleNamespace(step=step, gathered=lambda values: values)


def _term(weight, real, fake, real_mean, fake_mean):
    """The formula, in numpy."""
    positive = lambda values: np.maximum(values, 0) ** 2  # noqa: E731
    return weight * (positive(real - fake_mean).mean() + positive(real_mean - fake).mean())


@pytest.mark.parametrize("patches", [(), (5,)])
@pytest.mark.parametrize("start", [0, 1, 3])
def test_the_means_are_the_last_batchs_until_they_start_and_run_from_there(start, patches):
    random, means, part = np.random.default_rng(start), None, LeCam(weight=0.7, decay=0.8, start=start)
    for step in range(6):
        for _ in range(2):  # updates of D
            real, fake = random.normal(1, 1, (4, *patches)), random.normal(-1, 1, (4, *patches))
            now = np.array([real.mean(), fake.mean()])
            means = 0.8 * means + 0.2 * now if step >= max(start, 1) else now
            losses = part.d_loss(_context(step), _step(real, fake))
            if step < start:
                assert losses == {}
            else:
                # both sides in float64: rounding of a few operations
                assert losses["term"].item() == pytest.approx(_term(0.7, real, fake, *means), rel=1e-12)
        logged = part.after_step(_context(step))
        assert [float(logged["real_mean"]), float(logged["fake_mean"])] == pytest.approx(means, rel=1e-12)


def test_debiased_means_weigh_what_they_have_seen():
    """TensorFlow's zero-debias: sum of decay^(t - i) x_i over the sum of the weights."""
    random, seen, part = np.random.default_rng(3), [], LeCam(weight=2.0, decay=0.99, start=2, debias=True)
    for step in range(5):
        real, fake = random.normal(0, 1, 4), random.normal(0, 1, 4)
        seen.append([real.mean(), fake.mean()])
        weights = 0.99 ** np.arange(len(seen))[::-1]
        means = weights @ np.array(seen) / weights.sum()
        losses = part.d_loss(_context(step), _step(real, fake))
        assert (losses == {}) is (step < 2)
        if step >= 2:  # the means begin before the term does; 1 - 0.99^t loses two digits
            assert losses["term"].item() == pytest.approx(_term(2.0, real, fake, *means), rel=1e-11)


def test_no_gradient_goes_through_the_means():
    real, fake = torch.tensor([2.0, -1.0], requires_grad=True), torch.tensor([0.5, -3.0], requires_grad=True)
    part = LeCam(weight=1.0, start=0)
    part.d_loss(_context(0), DStep(None, None, None, None, real, fake, None))["term"].backward()
    # a_R = 0.5, a_F = -1.25: d/dr of relu(r - a_F)^2 / 2 images, and of relu(a_R - f)^2
    torch.testing.assert_close(real.grad, torch.tensor([3.25, 0.25]))
    torch.testing.assert_close(fake.grad, torch.tensor([0.0, -3.5]))


@pytest.mark.parametrize("patches", [None, 5])
def test_it_trains_as_a_transcription_does(patches):
    ctx, pair, means, updates = context(None, networks(patches)), networks(patches), [], iter(range(100))
    logs = train(ctx, LeCam(weight=0.5, decay=0.6, start=1))

    def d_loss(real, fake, index):
        step, now = next(updates) // 2, [real.mean().item(), fake.mean().item()]
        means[:] = [0.6 * old + 0.4 * new for old, new in zip(means, now, strict=True)] if step else now
        term = F.relu(real - means[1]).square().mean() + F.relu(means[0] - fake).square().mean()
        return hinge(real, fake, index) + (0.5 * term if step else 0)

    assert_same(ctx, logs, pair, transcribed(pair, d_loss, linear))
    assert "lecam/term" in logs[1] and "lecam/term" not in logs[0]
    assert logs[-1]["lecam/real_mean"] == pytest.approx(means[0], rel=1e-5)


def test_enters_the_update_in_proportion_to_its_weight(assert_proportional):
    assert_proportional("lecam(weight={weight}, start=0) + baseline")


def test_bad_settings_are_named():
    for text, error in {
        "weight=-1": "weight is -1",
        "start=-2": "start is -2",
        "decay=1.0": "decay is 1.0, must be 0 or more and below 1",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"lecam({text})"))
