"""SSGAN: the turns, the two losses in plain float64, who learns from which, and the head's norm."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import Batch, DStep, GStep
from bench.contract.expression import parse_method
from bench.errors import UserError

ssgan = importlib.import_module("bench.methods.ssgan")


def test_turns_are_numpys_quarter_turns_in_order():
    x = torch.rand(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    turned, turn = ssgan.turns(x)
    assert turn.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for place in range(12):
        expected = np.rot90(x[place % 3].numpy(), place // 3, axes=(1, 2))
        assert np.array_equal(turned[place].numpy(), expected)


def _images(seed, count=8):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _part(run):
    return run.method.parts[0][1]


def _d_step(discriminator, real, fake):
    logits = torch.zeros(len(real))
    batch = Batch(real, torch.arange(len(real)))
    # What D saw differs from the images: augmentations are not part of the turned images.
    return DStep(batch, None, real + 1, fake, logits, logits, discriminator, None)


def _g_step(discriminator, fake):
    return GStep(torch.zeros(len(fake), 8), None, fake, torch.zeros(len(fake)), discriminator)


def _transcription(discriminator, images):
    """-mean log Q(R = r | x^r) over the last quarter of the images and four turns, in float64."""
    head = discriminator.added["rotation"]
    weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
    terms = []
    for image in images[len(images) - len(images) // 4 :]:
        for turn in range(4):
            turned = torch.from_numpy(np.rot90(image.numpy(), turn, axes=(1, 2)).copy())[None]
            logits = weight @ discriminator.features(turned)[0].detach().double().numpy() + bias
            terms.append(np.log(np.exp(logits).sum()) - logits[turn])
    return np.mean(terms)


def test_losses_are_the_weighted_cross_entropies_of_the_last_quarter(make_run):
    run = make_run("ssgan", batch=8)
    discriminator = run.ctx.discriminator.eval()  # spectral norms stand still
    real, fake = _images(1), _images(2)
    d_terms = _part(run).d_loss(run.ctx, _d_step(discriminator, real, fake))
    g_terms = _part(run).g_loss(run.ctx, _g_step(discriminator, fake))
    # float32 networks agree to about 1e-6 of a loss of size 1.
    assert d_terms["d_rotation"].item() == pytest.approx(_transcription(discriminator, real), rel=1e-5)
    assert g_terms["g_rotation"].item() == pytest.approx(0.2 * _transcription(discriminator, fake), rel=1e-5)
    doubled = ssgan.Ssgan(d_weight=2.0, g_weight=0.4)
    twice = doubled.d_loss(run.ctx, _d_step(discriminator, real, fake))["d_rotation"]
    assert twice.item() == pytest.approx(2 * d_terms["d_rotation"].item(), rel=1e-6)


def test_only_the_share_is_turned(make_run):
    run = make_run("ssgan(share=0.25)", batch=8)
    discriminator = run.ctx.discriminator.eval()
    first = _images(1)
    other = torch.cat([_images(3)[:6], first[6:]])  # all but the last two images are others
    losses = [
        _part(run).d_loss(run.ctx, _d_step(discriminator, images, first))["d_rotation"] for images in (first, other)
    ]
    assert torch.equal(losses[0], losses[1])


def test_a_batch_of_less_than_four_turns_its_last_image(make_run):
    """Micro-batches may be that small; the mean over no image would be no number."""
    run = make_run("ssgan", batch=3)
    discriminator = run.ctx.discriminator.eval()
    images, fake = _images(1, 3), _images(2, 3)
    loss = _part(run).d_loss(run.ctx, _d_step(discriminator, images, fake))["d_rotation"]
    alone = _part(run).d_loss(run.ctx, _d_step(discriminator, images[2:], fake))["d_rotation"]
    assert torch.equal(loss, alone) and torch.isfinite(loss)


def test_d_learns_from_real_and_g_from_generated_images(make_run):
    """D's term reaches D's trunk and head; G's term reaches the images; the held D takes nothing from it."""
    run = make_run("ssgan", batch=8)
    discriminator = run.ctx.discriminator
    real, fake = _images(1).requires_grad_(), _images(2).requires_grad_()
    _part(run).d_loss(run.ctx, _d_step(discriminator, real, fake))["d_rotation"].backward()
    trained = {name for name, p in discriminator.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in trained} == {"blocks", "added"}
    assert fake.grad is None and real.grad is not None
    assert not real.grad[:6].any() and real.grad[6:].any()
    _part(run).g_loss(run.ctx, _g_step(discriminator, fake))["g_rotation"].backward()
    assert not fake.grad[:6].any() and fake.grad[6:].flatten(1).any(1).all()


def test_one_step_moves_the_head_with_d_and_not_with_g(make_run):
    run = make_run("ssgan(g_weight=50.0)")
    head = run.ctx.discriminator.added["rotation"]
    before = head.bias.detach().clone()
    held = torch.optim.SGD(run.ctx.discriminator.parameters(), lr=0.0)
    run.optimizers.discriminator = held
    run.advance(1)
    assert torch.equal(head.bias, before), "the generator's update moved the head"
    assert {"ssgan/d_rotation", "ssgan/g_rotation"} <= run.logs[0].keys()
    again = make_run("ssgan").advance(1)
    assert not torch.equal(again.ctx.discriminator.added["rotation"].bias, before)


def test_generator_gains_from_the_rotation_term(make_run):
    """The same run with and without G's term ends with other weights of G and, after one step, the same D."""
    runs = [make_run(f"ssgan(g_weight={weight})").advance(1) for weight in (0.0, 0.2)]
    g_states, d_states = (
        [dict(getattr(run.ctx, role).named_parameters()) for run in runs] for role in ("generator", "discriminator")
    )
    assert all(torch.equal(value, d_states[1][name]) for name, value in d_states[0].items())
    assert any(not torch.equal(value, g_states[1][name]) for name, value in g_states[0].items())


@pytest.mark.parametrize(("norm", "normalised"), [("as-discriminator", True), ("spectral", True), ("plain", False)])
def test_norm_of_the_head(norm, normalised, make_run):
    head = make_run(f"ssgan(norm={norm})").ctx.discriminator.added["rotation"]
    assert parametrize.is_parametrized(head, "weight") is normalised
    assert head.weight.shape == (4, 8)


def test_head_follows_a_discriminator_without_spectral_norm():
    network = torch.nn.Sequential(torch.nn.Linear(3, 3))
    assert not ssgan.has_spectral_norm(network)
    torch.nn.utils.parametrizations.spectral_norm(network[0])
    assert ssgan.has_spectral_norm(network)


def test_head_starts_the_same_whatever_else_the_method_does(make_run):
    heads = [make_run(m).ctx.discriminator.added["rotation"].bias for m in ("ssgan", "ssgan + baseline")]
    weights = [
        make_run(m).ctx.discriminator.added["rotation"].parametrizations.weight.original
        for m in ("ssgan", "ssgan + baseline")
    ]
    assert torch.equal(*heads) and torch.equal(*weights) and weights[0].std() > 0.1


@pytest.mark.slow
def test_conforms():
    found = check_method("diffaugment + ssgan + disp(prior=random)")
    assert [finding for finding in found if not finding.passed] == []


def test_bad_settings_are_named():
    for text, error in {
        "d_weight=-1": "d_weight is -1",
        "g_weight=-0.2": "g_weight is -0.2",
        "share=0": "share is 0",
        "share=1.5": "share is 1.5",
        "norm=spectal": "unknown norm 'spectal'; did you mean 'spectral'",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"ssgan({text})"))
