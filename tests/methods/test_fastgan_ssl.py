"""Self-supervised tasks of the discriminator: their losses, their gradients, and that they are learnt."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import seeds
from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.train.batches import Batches

ssl = importlib.import_module("bench.methods.fastgan_ssl")
BOTH = "fastgan-ssl(task=contrastive+aspect, weight=0.5)"


def _step(run):
    """A step's real images, of which D saw others: the negatives stand for augmented ones."""
    batch = Batches(run.ctx.images_u8_NHWC, 4, 0).at(0)
    logits = torch.zeros(4)
    seen = -batch.images_NCHW
    return DStep(batch, None, seen, seen, logits, logits, run.ctx.discriminator, None)


def _features(run, images):
    """D_f in evaluation, so that the very weights of the loss can be had again."""
    return run.ctx.discriminator.eval().features(images)


def test_contrastive_is_the_cross_entropy_of_the_image_among_all(make_run):
    run = make_run(BOTH)
    step = _step(run)
    features = _features(run, step.real_NCHW)
    head = run.ctx.discriminator.added["ssl_contrastive"]
    assert head.out_features == 12
    logits = (features.double() @ head.weight.double().T + head.bias.double()).detach().numpy()
    chance = np.exp(logits - logits.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    expected = -np.log(chance[np.arange(4), step.batch.index_N]).mean()
    # float32 sums of 16 features.
    assert run.method.d_loss(run.ctx, step)["fastgan-ssl/contrastive"].item() == pytest.approx(0.5 * expected, rel=1e-4)


def test_aspect_is_the_squared_error_of_the_log_ratio(make_run):
    run = make_run(BOTH)
    step = _step(run)
    draws = torch.rand(2, 4, generator=seeds.torch_stream(0, "fastgan-ssl-aspect", 0, 1))
    wanted = 2 * draws[0].double() - 1  # log2 of a ratio from 1:2 to 2:1
    stretched = ssl.squared(step.batch.images_NCHW, 2 ** wanted.float(), draws[1])
    head = run.ctx.discriminator.added["ssl_aspect"]
    guess = _features(run, stretched).double() @ head.weight.double().T + head.bias.double()
    expected = (guess[:, 0] - wanted).square().mean().item()
    assert run.method.d_loss(run.ctx, step)["fastgan-ssl/aspect"].item() == pytest.approx(0.5 * expected, rel=1e-4)


@pytest.mark.parametrize(("ratio", "place"), [(2.0, 0.0), (2.0, 1.0), (1.25, 0.3), (0.5, 0.0), (0.8, 1.0), (1.0, 0.7)])
def test_squared_stretches_the_window_that_was_cut_out(ratio, place):
    """On ramps bilinear sampling is exact: the value tells the place that a pixel came from."""
    side = 24
    ramp_HW = torch.arange(side).double().repeat(side, 1)
    images = torch.stack([ramp_HW, ramp_HW.T])[None]  # the pixel's column, then its row
    column, row = ssl.squared(images, torch.tensor([ratio]), torch.tensor([place]))[0]
    width, height = side * min(1, ratio), side * min(1, 1 / ratio)
    for values, length in ((column[0], width), (row[:, 0], height)):
        start = place * (side - length)
        edges = start + (torch.arange(side) + 0.5) / side * length
        # Pixel centres lie half a pixel after their edge; beyond the outermost ones the image is mirrored.
        expected = (edges - 0.5).clamp(0, side - 1)
        inside = edges - 0.5 == expected
        np.testing.assert_allclose(values[inside], expected[inside], atol=1e-4)
        assert inside.sum() >= side - 2
    assert torch.allclose(column, column[:1].expand(side, side), atol=1e-4)


def test_gradients_reach_the_discriminator_and_the_heads_only(make_run):
    run = make_run(BOTH)
    torch.stack(list(run.method.d_loss(run.ctx, _step(run)).values())).sum().backward()
    discriminator = run.ctx.discriminator
    reached = {name for name, parameter in discriminator.named_parameters() if parameter.grad is not None}
    # The adversarial head reads the features too, but no task reads it.
    assert {name for name, _ in discriminator.named_parameters()} - reached == {
        "linear.bias",
        "linear.parametrizations.weight.original",
    }
    assert {"added.ssl_contrastive.weight", "added.ssl_aspect.weight"} <= reached
    assert all(parameter.grad is None for parameter in run.ctx.generator.parameters())


@pytest.mark.slow
def test_both_tasks_are_learnt(make_run):
    run = make_run("fastgan-ssl(task=contrastive+aspect)", steps=40, batch=6).advance(40)
    for task, share in (("contrastive", 0.6), ("aspect", 0.8)):
        values = [log[f"fastgan-ssl/{task}"] for log in run.logs]
        assert np.mean(values[-8:]) < share * np.mean(values[:8])


def test_only_the_tasks_asked_for_have_heads(make_run):
    run = make_run("fastgan-ssl(task=aspect)").advance(1)
    assert set(run.ctx.discriminator.added) == {"ssl_aspect"}
    assert "fastgan-ssl/contrastive" not in run.logs[0]


@pytest.mark.slow
def test_it_keeps_the_engines_promises():
    findings = check_method("diffaugment + " + BOTH)
    assert [finding for finding in findings if not finding.passed] == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("task=auto-encoding", "unknown task 'auto-encoding'; that is the part 'ae-d'"),
        ("task=aspect+rotation", "unknown task 'rotation'; that is the part 'ssgan'"),
        ("task=contrast", "unknown task 'contrast'; did you mean 'contrastive'"),
        ("task=aspect+aspect", "task 'aspect.aspect' names a task twice"),
        ("weight=0", "weight is 0, must be positive"),
    ],
)
def test_impossible_settings_are_refused(settings, complaint):
    with pytest.raises(UserError, match=f"method 'fastgan-ssl': {complaint}"):
        build_method(parse_method(f"fastgan-ssl({settings})"))
