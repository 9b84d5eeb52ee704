"""BSA: what it fits and what it leaves alone, its loss term by term, and how it samples."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import pytest
import torch
from scipy import stats

from bench import networks, seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.features.perceptual import VGG16Activations
from bench.networks.common.pixels import to_uint8
from bench.store import checkpoints
from bench.train.batches import Batches

bsa = importlib.import_module("bench.methods.bsa")
OPTIONS = {"z_dim": 8, "g_width": 8, "d_width": 8, "sn_generator": True}


@pytest.fixture(scope="module")
def run(make_run, source):
    """Fifteen steps on images that the source makes at other scales and shifts; with the generator from before."""
    painter = make_run("bsa", sources=source)
    with torch.no_grad():
        for norm in painter.method.parts[0][1].adapted:
            norm.scale.mul_(1.5)
            norm.shift.add_(0.3)
        z_NZ = 2 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
        images = to_uint8(painter.ctx.generator(z_NZ, torch.full((6, 3), 1 / 3)))
    made = make_run("bsa(lr=0.1)", sources=source, steps=15, batch=6, images=images)
    made.before = copy.deepcopy(made.ctx.generator)
    return made.advance(15)


@pytest.mark.slow
def test_only_scales_shifts_and_latents_move(run):
    before, after = run.before.state_dict(), run.ctx.generator.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    # Three blocks of two norms each, at 32 px.
    norms = [f"blocks.{block}.norm{norm}" for block in range(3) for norm in (1, 2)]
    assert moved == {f"{name}.{which}" for name in norms for which in ("scale", "shift")}
    assert run.method.parts[0][1].latents_MZ.abs().amin(dim=1).gt(0).all()  # of each image
    frozen = {name: one for name, one in run.ctx.generator.named_parameters() if name not in moved}
    assert frozen and all(one.grad is None for one in frozen.values())  # no work is spent on them
    averaged = run.ctx.ema.state_dict()
    assert all(not torch.equal(averaged[name], before[name]) for name in moved)


def test_the_fit_lowers_the_distance(run):
    """The images are within the method's reach: scales, shifts and latents are all that was changed."""
    first, last = run.logs[0], run.logs[-1]
    assert last["pixels"] < 0.65 * first["pixels"] and last["perceptual"] < 0.93 * first["perceptual"]


def test_it_starts_as_the_source_at_the_mean_of_its_classes(make_run, source):
    weights = checkpoints.read_weights(source["network"])["ema"]
    original, _ = networks.build("sngan-32", seed=99, condition_dim=3, **OPTIONS)
    original.load_state_dict(weights)
    ctx = make_run("bsa", sources=source).ctx
    z_NZ, mean_NK = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), torch.full((5, 3), 1 / 3)
    with torch.no_grad():
        expected = original.eval()(z_NZ, mean_NK)
        assert torch.allclose(ctx.generator(z_NZ, mean_NK), expected, atol=1e-6)
        assert expected.std() > 0.01


def test_the_first_loss_is_its_definition(make_run, source):
    run = make_run("bsa(perceptual=0.5, latent=2)", sources=source, batch=3)
    ctx, generator = run.ctx, copy.deepcopy(run.ctx.generator)
    wanted = Batches(ctx.images_u8_NHWC, 3, 0).at(0).images_NCHW
    jitter = torch.randn(3, 8, generator=seeds.torch_stream(0, "bsa-jitter", 0, 1))
    normals = torch.randn(30, 8, generator=seeds.torch_stream(0, "bsa-normals", 0, 1))
    with torch.no_grad():
        images = generator(0.01 * jitter, torch.full((3, 3), 1 / 3))
        layers = VGG16Activations((1, 3, 6, 8, 11, 13, 15, 18, 20, 22))
        perceptual = sum((a - b).abs().double().mean() for a, b in zip(layers(images), layers(wanted), strict=True))
    log = run.advance(1).logs[0]
    assert log["pixels"] == pytest.approx((images - wanted).abs().double().mean().item(), rel=1e-5)
    assert log["perceptual"] == pytest.approx(0.5 * perceptual.item(), rel=1e-5)
    # All z are 0: each is as far from its nearest normal as the shortest one is long.
    lengths = normals.double().square().sum(1)
    assert log["latent"] == pytest.approx(2 * (lengths.min() + lengths.mean()).item(), rel=1e-5)
    assert log["statistics"] == 0


def test_statistics_are_held_near_one_and_zero(run):
    part = run.method.parts[0][1]
    expected = sum(((norm.scale.double() - 1) ** 2).mean() + (norm.shift.double() ** 2).mean() for norm in part.adapted)
    terms = part.loss_terms(run.ctx, torch.zeros(1, 3, 32, 32), part.latents_MZ[:1])
    assert terms["statistics"].item() == pytest.approx(0.02 * expected.item(), rel=1e-5)
    assert expected > 0


def test_nearest_distances_are_their_definition():
    z, normals = (torch.randn(count, 4, generator=torch.Generator().manual_seed(count)).double() for count in (5, 20))
    square = np.array([[float(((a - b) ** 2).sum()) for b in normals] for a in z])
    assert bsa.nearest_distances(z, normals).item() == pytest.approx(square.min(0).mean() + square.min(1).mean())


def test_truncation_keeps_quantiles():
    z = torch.linspace(-6, 6, 41)
    expected = stats.truncnorm(-0.3, 0.3).ppf(stats.norm.cdf(z.double().numpy()))
    np.testing.assert_allclose(bsa.truncated(z, 0.3), expected, atol=1e-6)  # float32
    assert torch.allclose(bsa.truncated(z, 40.0), z, atol=1e-4)  # nothing is cut off


def test_samples_are_of_the_truncated_latents(run):
    seen = []

    class Recorder:
        condition_dim = 3

        def __call__(self, z, condition):
            seen.append((z, condition))
            return z

    z = torch.randn(500, 8, generator=torch.Generator().manual_seed(0)) * 3
    run.method.sampler(run.ctx)(Recorder(), z, torch.Generator())
    drawn, condition = seen[0]
    assert drawn.abs().max() <= 0.3 and drawn.std() > 0.1
    assert (drawn.gather(0, z.argsort(0)).diff(dim=0) >= 0).all()
    assert torch.equal(condition, torch.full((500, 3), 1 / 3))


def test_the_rate_falls_as_in_the_authors_code():
    part = bsa.Bsa()
    rates = [part.rate(step, 10_000) for step in (0, 2998, 2999, 5999, 8999, 9999)]
    assert rates == pytest.approx([0.03, 0.03, 0.006, 0.0012, 0.00024, 0.00024])


def test_a_source_without_conditions(make_run, make_pictures, tmp_path):
    plain = make_run("diffaugment", images=make_pictures(12, seed=5)).advance(1).save(tmp_path / "plain.pt")
    run = make_run("bsa", sources={"network": plain}, batch=3).advance(2)
    assert run.ctx.generator.condition_dim is None
    assert run.sample(4).shape == (4, 3, 32, 32)


def test_what_does_not_fit_is_refused(make_run, source, tmp_path):
    with pytest.raises(UserError, match="given no source 'network'"):
        make_run("bsa")
    with pytest.raises(UserError, match="source 'network': .*shape"):
        make_run("bsa", sources=source, g_width=16)
    with pytest.raises(UserError, match="source 'network': tensor blocks.0.norm1.gain.*shape"):
        make_run("bsa", sources=source, shared_dim=64)
    mapped = tmp_path / "mapped.pt"
    checkpoints.write_weights(mapped, {"ema": {"condition_embedding.layers.0.weight": torch.zeros(2, 2)}})
    with pytest.raises(UserError, match="the source's condition_embedding is no linear map"):
        make_run("bsa", sources={"network": mapped})
    for setting, complaint in {"lr=0": "lr is 0, must be positive", "latent=-1": "latent is -1"}.items():
        with pytest.raises(UserError, match=f"method 'bsa': {complaint}"):
            build_method(parse_method(f"bsa({setting})"))


@pytest.mark.slow
def test_images_are_compared_as_they_are(make_run, source):
    """A latent belongs to one image: `flip` of the run's spec must not show its mirror image."""
    run = make_run("bsa(perceptual=0, latent=0, statistics=0)", sources=source, batch=12)
    flipped = make_run("bsa(perceptual=0, latent=0, statistics=0)", sources=source, batch=12)
    train = flipped.ctx.spec.train.model_copy(update={"flip": True})
    flipped.ctx.spec = flipped.ctx.spec.model_copy(update={"train": train})
    assert run.advance(1).logs == flipped.advance(1).logs


@pytest.mark.parametrize("condition_dim", [None, 3])
def test_a_norm_is_adapted_before_its_activation(condition_dim):
    """Scale and shift are those of the batch norm (paper, equation 1), not of the layers that a block has around it."""
    generator, _ = networks.build("sndcgan-32", seed=0, z_dim=8, g_width=16, d_width=16, condition_dim=condition_dim)
    blocks = list(generator.eval().requires_grad_(False).blocks)
    norms, x = [block.norm for block in blocks], torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    embedding = None if condition_dim is None else torch.randn(2, generator.shared_dim)
    normed = norms[0](blocks[0].conv(x), embedding)
    adapted = bsa.adapt(generator)
    assert [one.norm for one in adapted] == norms and [block.norm for block in blocks] == adapted
    with torch.no_grad():
        adapted[0].scale.fill_(-2)
        adapted[0].shift.fill_(0.5)
    expected = torch.relu(0.5 - 2 * normed)  # a scale behind the ReLU would have given 0.5 - 2 relu(normed)
    assert torch.allclose(blocks[0](x, embedding), expected, atol=1e-6)
    assert expected.std() > 0.01


def test_a_generator_without_batch_norms_is_refused():
    generator = torch.nn.Module()
    generator.blocks = torch.nn.ModuleList([torch.nn.Conv2d(3, 3, 1)])
    with pytest.raises(UserError, match="no blocks with batch norms"):
        bsa.adapt(generator)


@pytest.mark.slow
def test_it_keeps_the_engines_promises():
    assert [finding for finding in check_method("bsa") if not finding.passed] == []
