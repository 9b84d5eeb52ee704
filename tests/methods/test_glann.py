"""GLANN with priors: the order of its two phases, that each lowers its loss, and how it samples."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench import networks, seeds
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.features.perceptual import VGG16Activations
from bench.networks.common import noise
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.store import checkpoints
from bench.train import Context
from bench.train.batches import Batches

METHOD = "glann(prior_size=32, fit_share=0.2, lr=0.003)"


@pytest.fixture(scope="module")
def phases(make_run, source):
    """One run of both phases, with copies of the generator from before, between and after them."""
    run = make_run(METHOD, sources=source, steps=80, batch=6)
    generators = [copy.deepcopy(run.ctx.generator)]
    for steps in (16, 64):
        run.advance(steps)
        generators.append(copy.deepcopy(run.ctx.generator))
    return run, generators


def _moved(before, after):
    return [not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]


@pytest.mark.slow
def test_first_the_generator_is_fitted_then_the_mapping(phases):
    run, (start, between, end) = phases
    assert [next(iter(log)) for log in run.logs] == ["perceptual"] * 16 + ["imle"] * 64
    assert any(_moved(start, between)) and not any(_moved(between, end))
    assert _moved(start.condition_embedding, between.condition_embedding) == [True]


def test_both_phases_lower_their_losses(phases):
    run, _ = phases
    perceptual = [log["perceptual"] for log in run.logs[:16]]
    imle = [log["imle"] for log in run.logs[16:]]
    assert np.mean(perceptual[-4:]) < 0.9 * np.mean(perceptual[:2])
    assert np.mean(imle[-8:]) < 0.7 * imle[0]


def test_sampled_embeddings_lie_near_those_of_the_training_images(phases):
    run, _ = phases
    part, seen = run.method.parts[0][1], []

    class Recorder(torch.nn.Module):
        def synthesize(self, z, embedding):
            seen.append((z, embedding))
            return embedding

    run.method.sampler(run.ctx)(Recorder(), torch.ones(50, 8), torch.Generator().manual_seed(0))
    z, embedding = seen[0]
    assert not z.any()  # z is not used: images come from embeddings alone
    with torch.no_grad():
        known = run.ctx.ema.embed(part.vectors(run.ctx))
        typical = torch.pdist(known).mean()
        nearest = torch.stack([(known - one).norm(dim=1).min() for one in embedding])
    assert nearest.mean() < typical
    assert embedding.std(0).mean() > 0


def test_the_first_loss_is_the_sum_of_l1_distances(make_run, source):
    """DIP's Eq 7 with GLANN's perceptual loss, recomputed from the initial weights."""
    run = make_run(METHOD, sources=source, steps=80, batch=3)
    part, generator = run.method.parts[0][1], copy.deepcopy(run.ctx.generator)
    batch = Batches(run.ctx.images_u8_NHWC, 3, 0).at(0)
    with torch.no_grad():
        prior_NK = part.vectors(run.ctx)[batch.index_N]
        images = generator.synthesize(torch.zeros(3, 8), generator.embed(prior_NK))
        expected = functional.l1_loss(images, batch.images_NCHW)
        layers = VGG16Activations((2, 7, 12, 21, 30))
        for given, aim in zip(layers(images), layers(batch.images_NCHW), strict=True):
            expected += (given - aim).abs().mean()
    assert run.advance(1).logs[0]["perceptual"] == pytest.approx(expected.item(), rel=1e-5)


def test_it_starts_from_the_source_generator(make_run, source):
    run = make_run(METHOD, sources=source)
    ema = checkpoints.read_weights(source["network"])["ema"]
    same = {
        name for name, value in run.ctx.generator.state_dict().items() if torch.equal(value, ema.get(name, value + 1))
    }
    assert set(run.ctx.generator.state_dict()) - same == {"condition_embedding.weight"}
    with pytest.raises(UserError, match="given no source 'network'"):
        make_run(METHOD)


STYLES = {"z_dim": 8, "w_dim": 8, "shared_dim": 8, "channel_base": 128, "channel_max": 8, "mapping_layers": 2}


@pytest.mark.parametrize("network", ["stylegan1-32", "stylegan2-32"])
@pytest.mark.parametrize("kind", ["const", "random"])
def test_the_fit_of_a_generator_that_mixes_styles_has_one_latent(network, kind, make_pictures, tmp_path):
    """DIP's Eq 7 fits G(G_emb(C(x))) to x: e and z = 0 say the image, no second z has a part in it."""
    options = {**STYLES, "mixing": 1.0, "noise": kind}
    ctx, method, part = _fitting(network, options, make_pictures(12), tmp_path)
    generator = ctx.generator.train()
    for name, parameter in generator.named_parameters():
        if "noise" in name and "strength" in name:  # a new network's is 0
            torch.nn.init.ones_(parameter)
    batch = Batches(ctx.images_u8_NHWC, 3, 0).at(0)
    with torch.no_grad():
        vectors = part.vectors(ctx)[batch.index_N]
        embedding = generator.embed(vectors)
        w = generator.map(torch.zeros(3, 8), vectors)[:, None].expand(-1, generator.synthesis.layers, -1)
        with noise.drawn_from(seeds.torch_stream(0, "noise", 0, 1)):  # the step's first noise stream
            images = generator.synthesis(w, noise=kind)
        with noise.drawn_from(torch.Generator().manual_seed(1)):
            mixed = generator.synthesize(torch.zeros(3, 8), embedding)
        expected = part.distance(images, batch.images_NCHW).item()
    assert not torch.allclose(mixed, images, atol=1e-2)
    ctx.begin_step(0)
    assert float(next(method.fit(ctx))["perceptual"]) == pytest.approx(expected, rel=1e-5)


def _fitting(network, options, images, folder):
    """GLANN prepared on a small network from a source of the same kind."""
    pair = networks.build(network, seed=1, **options, condition_dim=3)
    weights = {key: one.state_dict() for key, one in zip(("ema", "discriminator"), pair, strict=True)}
    checkpoints.write_weights(folder / "style.pt", weights)
    spec = RunSpec(
        method=parse_method(METHOD),
        network=NetworkSpec(name=network, options=options),
        data=DataSpec(name="pictures", resolution=32),
        train=TrainSettings(steps=10, batch=3, g_lr=1e-3, d_lr=1e-3),
        protocol=None,
        seed=0,
    )
    ctx = Context(spec, images, None, torch.device("cpu"), {"network": folder / "style.pt"})
    method = build_method(spec.method)
    built = networks.build(network, seed=2, **options, **method.networks(ctx))
    ctx.generator, ctx.discriminator = built
    method.prepare(ctx)
    return ctx, method, method.parts[0][1]


RATES = "glann(prior_size=32, fit_share=0.5, lr=0.003, imle_lr=0.02{})"


@pytest.mark.slow
def test_rates_are_halved_as_in_the_authors_code(make_run, source):
    """glo.py and icp.py: each epoch has a new Adam, at half the rate after every 50 epochs; here after every 2."""
    run = make_run(RATES.format(", halve_every=2"), sources=source, steps=20, batch=6)  # two batches an epoch
    part, seen = run.method.parts[0][1], []
    for _ in range(20):
        run.advance(1)
        adam = part.fit_optimizer if run.ctx.step <= 10 else part.imle_optimizer
        seen.append((adam.param_groups[0]["lr"], next(iter(adam.state.values()))["step"].item()))
    # ten batches of the fit are epochs 0, 0, 1, 1, 2, ...; each step of IMLE is an epoch of its own, one batch here
    assert [rate for rate, _ in seen[:10]] == pytest.approx([0.003] * 4 + [0.0015] * 4 + [0.00075] * 2)
    assert [rate for rate, _ in seen[10:]] == pytest.approx([0.02 / 2 ** (n // 2) for n in range(10)])
    assert [updates for _, updates in seen] == [1, 2] * 5 + [1] * 10


@pytest.mark.slow
def test_constant_rates_are_the_default_and_no_part_of_older_names(make_run, source):
    run = make_run(RATES.format(""), sources=source, steps=20, batch=6).advance(20)
    part = run.method.parts[0][1]
    for adam, rate in ((part.fit_optimizer, 0.003), (part.imle_optimizer, 0.02)):
        assert adam.param_groups[0]["lr"] == rate
        assert next(iter(adam.state.values()))["step"].item() == 10
    assert "halve_every" not in parse_method("glann")[0].settings
    assert parse_method("glann(halve_every=50)")[0].settings["halve_every"] == 50


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="halve_every is 0, must be 1 or more epochs"):
        build_method(parse_method("glann(halve_every=0)"))
    with pytest.raises(UserError, match="fit_share is 1, must be between 0 and 1"):
        build_method(parse_method("glann(fit_share=1)"))
