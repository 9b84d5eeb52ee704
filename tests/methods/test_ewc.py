"""EWC: Fisher information against a closed form, the penalty in float64, and what it does to a training."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn

from bench import seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError

ewc = importlib.import_module("bench.methods.ewc")


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_information_is_the_mean_of_squared_gradients_in_closed_form():
    """G(z) = Wz and D(x) = v'x: d log sigmoid(v'Wz) / dW = (1 - sigmoid(v'Wz)) v z'."""
    generator, discriminator = nn.Linear(3, 4, bias=False).double(), nn.Linear(4, 1, bias=False).double()
    with torch.no_grad():
        generator.weight.copy_(_normal(4, 3))
        discriminator.weight.copy_(_normal(1, 4, seed=1))
    latents, W, v = _normal(50, 3, seed=2), generator.weight.detach().numpy(), discriminator.weight.detach().numpy()[0]
    gradients = []
    for z in latents.numpy():
        gradients.append((1 - 1 / (1 + np.exp(-v @ W @ z))) * np.outer(v, z))
    found = ewc.information(generator, discriminator, [generator.weight], latents)
    np.testing.assert_allclose(found.numpy(), np.mean(np.square(gradients), axis=0).ravel(), rtol=1e-12)
    # Not the square of the mean gradient, let alone the mean, which the one public code takes
    assert (found.numpy() > 1.5 * np.square(np.mean(gradients, axis=0)).ravel()).all()


def _source(make_run, make_pictures, tmp_path):
    trained = make_run("unconditional", images=make_pictures(12, seed=5), seed=5).advance(2)
    return {"network": trained.save(tmp_path / "network.pt")}


def test_the_penalty_is_the_weighted_sum_over_all_weights_of_the_source(make_run, make_pictures, tmp_path):
    sources = _source(make_run, make_pictures, tmp_path)
    run = make_run("ewc(weight=30, draws=5)", sources=sources)
    part = run.method.parts[0][1]
    generator, discriminator = run.ctx.networks()
    assert sum(p.numel() for p in generator.parameters()) == len(part.fisher) == len(part.source_weights)

    # The information, again: the gradient of each latent by a backward pass of its own
    generator.eval()
    discriminator.eval()
    latents = torch.randn(5, generator.z_dim, generator=seeds.torch_stream(0, "ewc", 0, 1))
    squares = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in generator.named_parameters()}
    for z in latents:
        generator.zero_grad()
        (1 / (1 + torch.exp(-discriminator(generator(z[None]))))).log().sum().backward()
        for name, p in generator.named_parameters():
            squares[name] += p.grad.double().square()
    generator.zero_grad(set_to_none=True)

    # The penalty where the weights have moved
    assert part.g_loss(run.ctx, None)["penalty"].item() == 0
    expected = 0.0
    for number, (name, p) in enumerate(generator.named_parameters()):
        moved = 0.01 * _normal(*p.shape, seed=number)
        before = p.detach().double()
        with torch.no_grad():
            p.add_(moved.float())
        expected += 30 * (squares[name] / 5 * (p.detach().double() - before).square()).sum().item()
    found = part.g_loss(run.ctx, None)["penalty"].item()
    assert found == pytest.approx(expected, rel=1e-4)  # float32 gradients of a network


def test_it_pulls_towards_the_source_where_the_information_is(make_run, make_pictures, tmp_path):
    sources = _source(make_run, make_pictures, tmp_path)
    runs = {weight: make_run(f"ewc(weight={weight}, draws=10)", sources=sources, steps=20) for weight in (1e-9, 1e9)}
    away = {}
    for weight, run in runs.items():
        part = run.method.parts[0][1]
        run.advance(20)
        now = torch.cat([p.detach().flatten() for p in run.ctx.generator.parameters()])
        moved, fisher = (now - part.source_weights).square(), part.fisher
        strong = fisher > fisher.quantile(0.9)
        away[weight] = [(fisher * moved).sum().item(), moved[strong].mean().item(), moved[fisher == 0].mean().item()]
    free, held = away.values()
    assert held[0] < 0.2 * free[0] and held[1] < 0.5 * free[1]
    # Weights without information go where the adversarial loss takes them
    assert not 0 < held[2] < 0.2 * free[2]


def test_it_starts_from_the_source_and_a_resumed_run_has_the_same_information(make_run, make_pictures, tmp_path):
    sources = _source(make_run, make_pictures, tmp_path)
    first, other = (make_run("ewc(draws=3)", sources=sources) for _ in range(2))
    trained = torch.load(sources["network"], weights_only=True)["ema"]
    assert all(torch.equal(value, trained[name]) for name, value in first.ctx.generator.state_dict().items())
    halfway = first.advance(2).save(tmp_path / "halfway.pt")
    part, resumed = first.method.parts[0][1], other.load(halfway).method.parts[0][1]
    assert torch.equal(part.fisher, resumed.fisher) and torch.equal(part.source_weights, resumed.source_weights)


def test_a_generator_with_a_condition_is_refused(make_run, source):
    with pytest.raises(UserError, match="method 'ewc': this generator has a condition"):
        make_run("ewc + class-conditional", sources=source, labels=np.arange(12) % 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("weight=0", "weight is 0, must be above 0"), ("draws=0", "draws is 0, must be 1 or more latents")],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(f"ewc({text})"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "network"), [("ewc(draws=5)", "sngan-32"), ("diffaugment + ewc(draws=5)", "fastgan-64")]
)
def test_conforms(method, network):
    assert [finding for finding in check_method(method, network) if not finding.passed] == []
