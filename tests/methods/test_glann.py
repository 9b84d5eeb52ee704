"""GLANN with priors: the order of its two phases, that each lowers its loss, and how it samples."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.errors import UserError
from bench.features.perceptual import VGG16Activations
from bench.methodspec import build_method, parse_method
from bench.train import checkpoint
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
    ema = checkpoint.read_weights(source["network"])["ema"]
    same = {
        name
        for name, value in run.ctx.generator.state_dict().items()
        if torch.equal(value, ema.get(name, value + 1))
    }
    assert set(run.ctx.generator.state_dict()) - same == {"condition_embedding.weight"}
    with pytest.raises(UserError, match="given no source 'network'"):
        make_run(METHOD)


def test_impossible_settings_are_refused():
    with pytest.raises(UserError, match="fit_share is 1, must be between 0 and 1"):
        build_method(parse_method("glann(fit_share=1)"))
