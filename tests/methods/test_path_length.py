"""Path length regularisation against closed forms and finite differences in float64, and the law of its mean."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import seeds
from bench.contract.composition import build_method
from bench.contract.context import GStep
from bench.contract.expression import parse_method
from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.networks.common import noise
from bench.networks.stylegan2.recipes import stylegan2_32

pl = importlib.import_module("bench.methods.path_length")
SMALL = {"channel_base": 64, "z_dim": 8, "w_dim": 4, "mapping_layers": 2}


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _stream(seed=5):
    return torch.Generator().manual_seed(seed)


def _generator(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return stylegan2_32(**{**SMALL, **options})[0]()


class _Ctx:
    """The part of a context that the method reads, over any generator."""

    device = torch.device("cpu")
    train = SimpleNamespace(compile=False)

    def __init__(self, generator):
        self.generator = generator
        self.step, self.left = 0, {}

    def networks(self):
        return self.generator, None

    def stream(self, *purpose):
        return seeds.torch_stream(0, *purpose, self.step, 1)

    def numbers(self, *purpose):
        return Numbers.of(self.stream(*purpose))


def _g_step(count, condition=None):
    return GStep(_normal(count, 8, seed=3).float(), condition, torch.zeros(1), torch.zeros(1), lambda *_: None)


def test_of_a_linear_synthesis_it_is_the_length_of_a_matrix_product():
    matrices = _normal(3, 2, 3 * 4 * 4, seed=1)  # of three layers: w (2,) -> image
    w = _normal(5, 3, 2, seed=2)
    found = pl.path_lengths(
        lambda w_NLW: torch.einsum("nlw,lwp->np", w_NLW, matrices).view(5, 3, 4, 4), w, Numbers.of(_stream())
    )
    y = torch.randn(5, 3, 4, 4, generator=_stream()).double().numpy().reshape(5, -1) / 4  # sqrt(4 * 4)
    products = np.einsum("lwp,np->nlw", matrices.numpy(), y)
    expected = np.sqrt((products**2).sum(2).mean(1))
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12)


def test_in_stylegan2_it_is_the_finite_difference_over_every_entry_of_w():
    synthesis = _generator().double().synthesis.eval()
    synthesis.noise = "none"
    w = _normal(2, synthesis.layers, 4, seed=2)
    found = pl.path_lengths(synthesis, w, Numbers.of(_stream()))
    y = torch.randn(2, 3, 32, 32, generator=_stream()).double() / 32
    size = synthesis.layers * 4
    nudges = 1e-6 * torch.eye(size, dtype=torch.float64).view(size, synthesis.layers, 4)
    for n in range(2):
        with torch.no_grad():
            there, back = ((synthesis(w[n] + sign * nudges) * y[n]).sum((1, 2, 3)) for sign in (1, -1))
        products = ((there - back) / 2e-6).view(synthesis.layers, 4)
        # Leaky ReLUs within 1e-6 of their kink, about one in a million, are what the difference gets wrong.
        assert found[n].item() == pytest.approx(products.square().sum(1).mean().sqrt().item(), rel=1e-5)


def test_gradient_of_the_lengths_is_their_finite_difference():
    synthesis = _generator().double().synthesis.eval()
    synthesis.noise = "none"
    w = _normal(2, synthesis.layers, 4, seed=2)
    parameters = [p for name, p in synthesis.named_parameters() if "weight" in name]

    def penalty():
        return (pl.path_lengths(synthesis, w, Numbers.of(_stream())) - 0.3).square().mean()

    gradients = torch.autograd.grad(penalty(), parameters, allow_unused=True, materialize_grads=True)
    direction = [_normal(*p.shape, seed=7) for p in parameters]
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True)).item()
    ends = []
    for h in (1e-7, -2e-7):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=h)
        ends.append(penalty().item())
    # The first derivative of a network of kinks jumps; within 1e-7 it rarely does. Rounding: 1e-16 / h = 1e-9.
    assert slope != 0 and (ends[0] - ends[1]) / 2e-7 == pytest.approx(slope, rel=1e-4)


def test_terms_follow_the_running_mean_and_come_every_few_steps():
    generator = _generator()
    part, ctx = pl.PathLength(weight=3.0, every=2, decay=0.25, shrink=3), _Ctx(generator)
    part.prepare(ctx)
    mean = 0.0
    for number in range(5):
        ctx.step, ctx.left = number, {}
        step = _g_step(8)
        terms = part.g_loss(ctx, step)
        if number % 2:
            assert terms == {} and part.after_step(ctx)["mean"].item() == pytest.approx(mean)
            continue
        with noise.drawn_from(ctx.stream("path-length-noise")):  # a third of the batch: two of eight
            w = generator.styles(step.z_NZ[:2])
            lengths = pl.path_lengths(generator.synthesis, w, ctx.numbers("path-length")).detach().double()
        mean = mean + 0.25 * (lengths.mean().item() - mean)
        expected = 2 * 3.0 * ((lengths - mean) ** 2).mean().item()
        # float32 against the same formula in float64
        assert terms["penalty"].item() == pytest.approx(expected, rel=1e-5)
        assert part.after_step(ctx)["mean"].item() == pytest.approx(mean, rel=1e-6)
    other = pl.PathLength()
    other.load_state_dict(part.state_dict())
    assert other.mean.item() == pytest.approx(mean, rel=1e-6)


def test_micro_batches_move_the_mean_once():
    part, ctx = pl.PathLength(decay=0.5, shrink=1), _Ctx(_generator(mixing=0.0, noise="none"))
    ctx.generator.eval()
    lengths = []
    for z in _g_step(4).z_NZ.split(2):
        part.g_loss(ctx, GStep(z, None, torch.zeros(1), torch.zeros(1), lambda *_: None))
        w = ctx.generator.styles(z)
        lengths.append(pl.path_lengths(ctx.generator.synthesis, w, ctx.numbers("path-length")).mean().item())
    assert part.after_step(ctx)["mean"].item() == pytest.approx(0.5 * np.mean(lengths), rel=1e-5)


def test_the_term_trains_mapping_and_synthesis_and_even_lengths_out():
    generator = _generator(condition_dim=3, shared_dim=4)
    part, ctx = pl.PathLength(every=1, decay=0.1), _Ctx(generator)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)
    condition, spreads = torch.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]], []
    for number in range(30):
        ctx.step = number
        loss = part.g_loss(ctx, _g_step(8, condition))["penalty"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name in (
            "mapping.0.weight",
            "synthesis.blocks.2.conv1.weight",
            "condition_embedding.mlp.0.weight",
        ):
            assert generator.get_parameter(name).grad.abs().sum() > 0, name
        optimizer.step()
        part.after_step(ctx)
        spreads.append(loss.item())
    assert spreads[-1] < spreads[0] / 4


def test_networks_without_styles_are_refused(make_run):
    with pytest.raises(UserError, match="this generator has no styles w; use a stylegan2 network"):
        make_run("path-length")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path-length(weight=0)", "weight is 0, must be above 0"),
        ("path-length(every=0)", "every is 0, must be 1 or more"),
        ("path-length(shrink=0)", "shrink is 0, must be 1 or more"),
        ("path-length(decay=1.5)", "decay is 1.5, must be above 0 and at most 1"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))
