"""DigGAN's penalty against a transcription and finite differences in float64, and which update has it."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import Batch, DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.networks.common import sharing

diggan = importlib.import_module("bench.methods.diggan")
N, SIZE = 4, 12


def _context(batch=N, micro_batch=None):
    train = SimpleNamespace(batch=batch, micro_batch=micro_batch, compile=False)
    own = {"own": sharing.own, "gathered": sharing.gathered}
    return SimpleNamespace(train=train, device=torch.device("cpu"), real_logits=[], **own)


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _part(ctx, **settings):
    part = diggan.DigGAN(**settings)
    part.prepare(ctx)
    part.real_N, part.fake_N = part.real_N.double(), part.fake_N.double()
    return part


def _step(discriminate, seed):
    real, fake = _normal(N, 3, 2, 2, seed=seed), _normal(N, 3, 2, 2, seed=seed + 100)
    logits = torch.zeros(N, dtype=torch.float64)
    return DStep(Batch(real, torch.arange(N)), None, real, fake, logits, logits, discriminate)


def test_the_term_is_the_mean_square_of_the_gap_of_averaged_norms():
    """D(x) = x'Ax / 2 + b'x has the gradient (A + A')x / 2 + b; the averages are the authors' code in numpy."""
    matrix, slope = _normal(SIZE, SIZE, seed=1), _normal(SIZE, seed=2)

    def form(images, _condition):
        flat = images.flatten(1)
        return 0.5 * torch.einsum("ni,ij,nj->n", flat, matrix, flat) + flat @ slope

    ctx = _context()
    part, averages = _part(ctx, weight=7.0), None
    symmetric = ((matrix + matrix.T) / 2).numpy()
    for number in range(4):
        step = _step(form, number)
        found = part.d_loss(ctx, step)["gap"].item()
        norms = [
            np.linalg.norm(images.flatten(1).numpy() @ symmetric + slope.numpy(), axis=1)
            for images in (step.real_NCHW, step.fake_NCHW)
        ]
        if averages is not None:
            norms = [0.5 * new + 0.5 * old for new, old in zip(norms, averages, strict=True)]
        averages = norms
        assert found == pytest.approx(7.0 * np.mean((norms[1] - norms[0]) ** 2), rel=1e-12)


class _Smooth(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(SIZE, 5, dtype=torch.float64), nn.Linear(5, 1, dtype=torch.float64)

    def forward(self, images, _condition):
        return self.second(functional.softplus(self.first(images.flatten(1))).tanh())[:, 0]


def test_its_gradient_is_the_finite_difference_and_no_gradient_passes_through_the_averages():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Smooth()
    ctx = _context()

    def penalty():
        """Of the second step, with the averages of a first step that knows nothing of the weights' change."""
        part = _part(ctx)
        part.real_N.copy_(_normal(N, seed=5).abs())
        part.fake_N.copy_(_normal(N, seed=6).abs())
        part.seen.fill_(1.0)
        return part.d_loss(ctx, _step(network, 0))["gap"]

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True, materialize_grads=True)
    direction = [_normal(*p.shape, seed=10 + k) for k, p in enumerate(parameters)]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True)).item()
    ends = []
    with torch.no_grad():
        for h in (1e-5, -2e-5):
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=h)
            with torch.enable_grad():
                ends.append(penalty().item())
    # Central differences err by h^2 = 1e-10 times a third derivative, and rounding by 1e-16 * 1000 / h = 1e-8.
    assert abs(slope) > 1 and (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-6)


def test_equal_real_and_generated_images_have_no_gap_and_a_flat_d_no_nan():
    ctx = _context()
    step = _step(lambda images, _: images.flatten(1).square().sum(1), 0)
    same = DStep(step.batch, None, step.real_NCHW, step.real_NCHW, *[step.real_logits_N] * 2, step.discriminate)
    assert _part(ctx).d_loss(ctx, same)["gap"].item() == 0
    weight = torch.zeros(SIZE, dtype=torch.float64, requires_grad=True)
    flat = _part(ctx).d_loss(ctx, _step(lambda images, _: images.flatten(1) @ weight, 0))["gap"]
    (gradient,) = torch.autograd.grad(flat, weight)
    assert flat.item() == 0 and torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize(("micro_batch", "first"), [(None, 1), (2, 2)])
def test_only_the_first_update_of_a_step_has_it(make_run, micro_batch, first):
    run = make_run("diggan", d_steps=3)
    train = run.ctx.train.model_copy(update={"micro_batch": micro_batch})
    run.ctx.spec = run.ctx.spec.model_copy(update={"train": train})
    part = run.method.parts[0][1]
    part.prepare(run.ctx)
    seen, d_loss = [], part.d_loss
    part.d_loss = lambda ctx, step: seen.append(d_loss(ctx, step)) or seen[-1]
    run.advance(2)
    gaps = [terms["gap"].item() for terms in seen]
    passes = 3 * first
    assert len(gaps) == 2 * passes
    for step in range(2):
        of_step = gaps[step * passes :][:passes]
        assert all(gap > 0 for gap in of_step[:first]) and of_step[first:] == [0.0] * (passes - first)
        assert run.logs[step]["diggan/gap"] == pytest.approx(sum(of_step) / passes, rel=1e-6)


def test_enters_the_update_in_proportion_to_its_weight(assert_proportional):
    assert_proportional("diggan(weight={weight})")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["diggan + diffaugment + baseline", "diggan"])
def test_conforms(method):
    network = "stylegan2-32" if method == "diggan" else "sngan-32"
    assert [finding for finding in check_method(method, network) if not finding.passed] == []


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match="weight is -1, must be 0 or more"):
        build_method(parse_method("diggan(weight=-1)"))
