"""R1 against closed forms and finite differences in float64, and its place in training."""

from __future__ import annotations

import copy
import importlib
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import Augmentation, Batch, DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.networks.fastgan.recipes import fastgan_64
from bench.networks.stylegan1.recipes import stylegan1_32
from bench.networks.stylegan2.recipes import stylegan2_32

r1 = importlib.import_module("bench.methods.r1")
diffaugment = importlib.import_module("bench.methods.diffaugment")
CONTEXT = {"step": 0, "device": torch.device("cpu"), "train": SimpleNamespace(compile=False)}


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _step(discriminator, raw, condition=None, transform=lambda images: images):
    logits, real, batch = torch.zeros(len(raw)), transform(raw), Batch(raw, torch.arange(len(raw)))
    augmentation = Augmentation(len(raw), {}, transform)
    return DStep(
        batch,
        condition,
        real,
        real,
        logits,
        logits,
        discriminator,
        real_augmentation=augmentation,
        raw_NCHW=raw,
    )


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


def _transform(images):
    """A fixed augmentation of both images: shifted, contrast 1.4 and 1.2, and a square cut out of the second."""
    shifted = diffaugment.translate(images, torch.tensor([1, -2]), torch.tensor([0, 3]))
    factors = torch.tensor([1.4, 1.2], dtype=images.dtype)
    return diffaugment.cutout(diffaugment.contrast(shifted, factors), torch.tensor([0, 4]), torch.tensor([0, 3]))


def test_at_the_raw_image_it_is_the_finite_difference_of_d_after_the_augmentation():
    """Over every pixel of both images, in float64; at the augmented one the number is another."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Smooth()
    x, condition = _normal(2, 3, 8, 8), _normal(2, 2, seed=3)
    step = _step(network, x, condition, _transform)
    contexts = type("Ctx", (), {**CONTEXT, "discriminator": network})()
    found = {point: r1.R1(gamma=2.0, point=point).d_loss(contexts, step)["penalty"].item() for point in r1.POINTS}
    squares = {"raw": 0.0, "augmented": 0.0}
    for index in range(2 * 3 * 64):
        nudge = torch.zeros(2 * 3 * 64, dtype=torch.float64)
        nudge[index] = 1e-5
        nudge = nudge.view_as(x)
        with torch.no_grad():
            for point, ends in {
                "raw": [_transform(x + sign * nudge) for sign in (1, -1)],
                "augmented": [_transform(x) + sign * nudge for sign in (1, -1)],
            }.items():
                there, back = (network(end, condition).sum() for end in ends)
                squares[point] += ((there - back) / 2e-5).item() ** 2 / 2  # the mean over two images
    # Central differences err by h^2 = 1e-10 times a third derivative, and rounding by 1e-16 / h = 1e-11.
    assert found == pytest.approx(squares, rel=1e-6)
    assert abs(found["raw"] / found["augmented"] - 1) > 0.05


def test_in_training_it_is_taken_at_the_raw_images_through_the_updates_own_augmentation(make_run):
    """Recomputed from the step's random streams: T drawn again, and the slope of D(T(x)) along its gradient."""
    run = make_run("r1(gamma=2.0, point=raw) + diffaugment(consistency=0) + baseline")
    discriminator, part = run.ctx.discriminator, run.method.parts[0][1]
    steps, d_loss = [], part.d_loss
    part.d_loss = lambda ctx, step: steps.append(step) or d_loss(ctx, step)
    before = copy.deepcopy(discriminator)
    logged = run.advance(1).logs[0]["r1/penalty"]
    (step,) = steps
    raw = step.batch.images_NCHW

    def augmented(images):
        run.ctx.begin_step(0)
        return run.method.augment(run.ctx, images)  # the step's first T: the one that D's update drew for its reals

    assert torch.equal(augmented(raw), step.real_NCHW)
    with parametrize.cached():  # the same weights in all calls, as within an update
        before(torch.cat([step.real_NCHW, step.fake_NCHW]), torch.cat([step.condition_NK] * 2))
        leaf = raw.clone().requires_grad_()
        logits = before(augmented(leaf), step.condition_NK)
        (gradient,) = torch.autograd.grad(logits.sum(), leaf)
        assert logged == pytest.approx(gradient.square().sum((1, 2, 3)).mean().item(), rel=1e-4)
        h = 1e-3 / gradient.norm()
        with torch.no_grad():
            there, back = (before(augmented(raw + s * h * gradient), step.condition_NK).sum() for s in (1, -1))
    # float32 logits of size 1 and a step of 1e-3: a difference of some 1e-3, known to about 1e-3 of it.
    assert ((there - back) / (2 * h)).item() == pytest.approx(gradient.square().sum().item(), rel=2e-2)


def test_without_an_augmentation_both_points_are_the_same_run(make_run):
    ends = [make_run(f"r1(point={point}) + baseline").advance(2) for point in r1.POINTS]
    one, other = (run.ctx.discriminator.state_dict() for run in ends)
    assert all(torch.allclose(one[name], other[name], rtol=1e-5, atol=1e-7) for name in one)
    assert "point" not in parse_method("r1")[0].settings


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
            there, back = (judge(x[n] + sign * nudges, condition[n : n + 1].expand(48, -1)) for sign in (1, -1))
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
    run = type("Ctx", (), {**CONTEXT, "discriminator": discriminator})()
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


@pytest.mark.slow
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
    for (_, images, *_), step in zip(seen, steps, strict=True):
        assert images is step.real_NCHW and not torch.equal(images, step.batch.images_NCHW)
    x = torch.cat([images for _, images, *_ in seen])
    before, after = (original(run.ctx.discriminator.eval(), x, None).mean() for run in (plain, penalised))
    assert after < 0.75 * before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1(gamma=0)", "gamma is 0, must be above 0"),
        ("r1(gamma=-1)", "gamma is -1, must be above 0"),
        ("r1(every=0)", "every is 0, must be 1 or more steps"),
        ("r1(point=rawe)", "unknown point 'rawe'; did you mean 'raw'"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["r1(every=2) + baseline", "ada-lite + r1(point=raw) + diffaugment"])
def test_conformance(method):
    assert [finding for finding in check_method(method) if not finding.passed] == []
