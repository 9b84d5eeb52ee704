"""R1 against closed forms and finite differences in float64, and its place in training."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.conformance import check_method
from bench.errors import UserError
from bench.methodspec import build_method, parse_method
from bench.networks.fastgan import fastgan_64
from bench.networks.stylegan1 import stylegan1_32
from bench.networks.stylegan2 import stylegan2_32
from bench.train.context import Batch, DStep

r1 = importlib.import_module("bench.methods.r1")


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _step(discriminator, real, condition=None):
    logits = torch.zeros(len(real))
    return DStep(Batch(real, torch.arange(len(real))), condition, real, real, logits, logits, discriminator)


def test_a_quadratic_form_has_its_gradient_in_closed_form():
    x, matrix, slope = _normal(4, 3, 2, 2), _normal(12, 12, seed=1), _normal(12, seed=2)

    def form(images, _condition):
        flat = images.flatten(1)
        return 0.5 * torch.einsum("ni,ij,nj->n", flat, matrix, flat) + flat @ slope

    expected = (x.flatten(1) @ (matrix + matrix.T) / 2 + slope).square().sum(1)
    torch.testing.assert_close(r1.squared_gradients(form, x, None), expected, rtol=1e-12, atol=0)


def test_of_patch_logits_it_is_the_gradient_of_their_mean():
    x, slopes = _normal(3, 3, 2, 2), _normal(12, 5, seed=1)
    found = r1.squared_gradients(lambda images, _: images.flatten(1) @ slopes, x, None)
    torch.testing.assert_close(found, slopes.mean(1).square().sum().expand(3), rtol=1e-12, atol=0)


class _Smooth(nn.Module):
    """Conditional, and without kinks: second derivatives exist everywhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, dtype=torch.float64)
        self.linear = nn.Linear(4, 1, dtype=torch.float64)
        self.embedding = nn.Linear(2, 4, dtype=torch.float64)

    def forward(self, images, condition):
        h = functional.softplus(self.conv(images)).mean((2, 3)).tanh()
        return self.linear(h).squeeze(1) + (self.embedding(condition) * h).sum(1)


def test_gradient_of_the_penalty_is_its_finite_difference():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Smooth()
    x, condition = _normal(3, 3, 8, 8), _normal(3, 2, seed=3)
    parameters = list(network.parameters())

    def penalty():
        return r1.squared_gradients(network, x, condition).mean()

    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True, materialize_grads=True)
    assert all(gradient.abs().sum() > 0 for gradient in (gradients[0], gradients[2], gradients[4]))
    for seed in range(3):
        direction = [_normal(*p.shape, seed=10 + seed) for p in parameters]
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        ends = []
        for h in (1e-5, -2e-5):
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(d, alpha=h)
            ends.append(penalty().item())
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=1e-5)
        # Central differences err by h^2 = 1e-10 times a third derivative, and rounding by 1e-16 / h = 1e-11.
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope.item(), rel=1e-6, abs=1e-9)


def test_in_a_network_it_is_the_finite_difference_over_every_pixel(make_run):
    """Every pixel of a 4x4 image, which a conditional network sees enlarged."""
    run = make_run("baseline + r1")
    discriminator = run.ctx.discriminator.double().eval()  # spectral norms stand still
    x, condition = _normal(2, 3, 4, 4), torch.eye(12, dtype=torch.float64)[[3, 5]]

    def judge(images, condition):
        return discriminator(functional.interpolate(images, scale_factor=8), condition)

    found = r1.squared_gradients(judge, x, condition)
    nudges = 1e-6 * torch.eye(48, dtype=torch.float64).view(48, 3, 4, 4)
    for n in range(2):
        with torch.no_grad():
            there, back = (
                judge(x[n] + sign * nudges, condition[n : n + 1].expand(48, -1)) for sign in (1, -1)
            )
        # ReLUs within 1e-6 of their kink, about one in a million, are what the difference gets wrong.
        assert found[n].item() == pytest.approx(((there - back) / 2e-6).square().sum().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (stylegan2_32, {"channel_base": 128, "w_dim": 16, "z_dim": 16}),
        (fastgan_64, {"ngf": 8, "ndf": 8}),
    ],
    ids=["stylegan2", "fastgan"],
)
def test_networks_with_batch_statistics_and_patches_learn_from_it(make, options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        discriminator = make(**options)[1]()
    size = 32 if make is stylegan2_32 else 64
    squares = r1.squared_gradients(discriminator, _normal(4, 3, size, size).float(), None)
    assert squares.shape == (4,) and (squares > 0).all()
    squares.mean().backward()
    first = next(discriminator.parameters())
    assert first.grad is not None and first.grad.abs().sum() > 0 and first.grad.isfinite().all()


def test_while_growing_the_gradient_is_that_of_the_small_image():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        discriminator = stylegan1_32(channel_base=128, w_dim=8, z_dim=8)[1]()
    discriminator.grow(1, 0.5)
    small = _normal(2, 3, 8, 8).float().requires_grad_()
    large = functional.interpolate(small, scale_factor=4.0)
    (gradient,) = torch.autograd.grad(discriminator(large, None).sum(), small)
    run = type("Ctx", (), {"step": 0, "device": torch.device("cpu"), "discriminator": discriminator})()
    terms = r1.R1(gamma=2.0).d_loss(run, _step(discriminator, large.detach()))
    expected = gradient.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(terms["penalty"].detach(), expected, rtol=1e-4, atol=0)  # float32 sums


def test_the_term_is_half_gamma_and_lazily_as_much_heavier(make_run):
    run = make_run("r1(gamma=3.0, every=4)")
    discriminator = run.ctx.discriminator.eval()
    real = _normal(4, 3, 32, 32).float()
    part, step = run.method.parts[0][1], _step(discriminator, real)
    mean = r1.squared_gradients(discriminator, real, None).mean().item()
    for number in range(9):
        run.ctx.begin_step(number)
        terms = part.d_loss(run.ctx, step)
        if number % 4:
            assert terms == {}
        else:
            assert terms["penalty"].item() == pytest.approx(4 * 1.5 * mean, rel=1e-6)


def test_in_training_it_flattens_d_where_d_saw_its_images(make_run, monkeypatch):
    methods = ("diffaugment(consistency=0)", "r1(gamma=100) + diffaugment(consistency=0)")
    plain, penalised = (make_run(method, steps=10, d_steps=2) for method in methods)
    original, seen = r1.squared_gradients, []
    monkeypatch.setattr(r1, "squared_gradients", lambda *given: seen.append(given) or original(*given))
    d_loss, steps = penalised.method.parts[0][1].d_loss, []
    monkeypatch.setattr(
        penalised.method.parts[0][1], "d_loss", lambda ctx, step: steps.append(step) or d_loss(ctx, step)
    )
    for run in (plain, penalised):
        run.advance(10)
    assert len(seen) == 20 and all(log["r1/penalty"] > 0 for log in penalised.logs)
    for (_, images, _), step in zip(seen, steps, strict=True):
        assert images is step.real_NCHW and not torch.equal(images, step.batch.images_NCHW)
    x = torch.cat([images for _, images, _ in seen])
    before, after = (original(run.ctx.discriminator.eval(), x, None).mean() for run in (plain, penalised))
    assert after < 0.75 * before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1(gamma=0)", "gamma is 0, must be above 0"),
        ("r1(gamma=-1)", "gamma is -1, must be above 0"),
        ("r1(every=0)", "every is 0, must be 1 or more steps"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


def test_conformance():
    assert [finding for finding in check_method("r1(every=2) + baseline") if not finding.passed] == []
