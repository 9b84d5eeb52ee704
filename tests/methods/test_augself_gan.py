"""AugSelf-GAN: the scaled parameters, both terms in plain float64, who learns from which, and what is refused."""

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
from bench.train.seen import augmented

augself = importlib.import_module("bench.methods.augself_gan")
ALL = ("color", "translation", "cutout")


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 48)])
def test_parameters_fill_the_unit_interval(height, width):
    """All that DiffAugment can draw, scaled: from 0 to 1 in equal steps."""
    for side, place in ((height, 0), (width, 1)):
        shift, cut = int(side / 8 + 0.5), int(side / 2 + 0.5)
        drawn = {"translation": range(-shift, shift + 1), "cutout": range(side + 1 - cut % 2)}
        for group, values in drawn.items():
            column = torch.tensor(list(values))
            omega = augself.scaled(group, torch.stack([column, column]), height, width)
            expected = np.linspace(0, 1, len(values))  # to float32's last digit
            np.testing.assert_allclose(omega[:, place].numpy(), expected, atol=1e-7)
    colours = torch.rand(3, 5)
    assert torch.equal(augself.scaled("color", colours, height, width), colours.T)


def _images(seed, count=6):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _d_step(run, real, fake):
    ctx = run.ctx
    (real_seen, real_augmentation), (fake_seen, fake_augmentation) = (
        augmented(ctx, run.method, images) for images in (real, fake)
    )
    logits = torch.zeros(len(real))
    return DStep(
        Batch(real, torch.arange(len(real))),
        None,
        real_seen,
        fake_seen,
        logits,
        logits,
        ctx.discriminator,
        real_augmentation=real_augmentation,
        fake_augmentation=fake_augmentation,
        raw_NCHW=real,
        raw_fake_NCHW=fake,
    )


def _g_step(run, fake):
    _, augmentation = augmented(run.ctx, run.method, fake)
    return GStep(
        torch.zeros(len(fake), 8), None, fake, torch.zeros(len(fake)), run.ctx.discriminator, augmentation=augmentation
    )


def _errors(discriminator, raw, seen, draws, groups, sign):
    """sum over groups of mean (phi(h(T(x)) - h(x)) - sign omega)^2, image by image in float64."""
    total = 0.0
    for group in groups:
        head = discriminator.added[f"augself_{group}"]
        weight, bias = head.weight.detach().double().numpy(), head.bias.detach().double().numpy()
        drawn = draws[f"augself-gan/{group}_{len(weight)}N"].double().numpy()
        terms = []
        for place in range(len(raw)):
            h, h_seen = (
                discriminator.features(images[place : place + 1])[0].detach().double().numpy() for images in (raw, seen)
            )
            omega = {"color": drawn, "translation": (drawn + 4) / 8, "cutout": drawn / 32}[group][:, place]
            terms += list((weight @ (h_seen - h) + bias - sign * omega) ** 2)
        total += np.mean(terms)
    return total


@pytest.mark.parametrize("groups", [ALL, ("color",)])
def test_terms_are_those_of_a_transcription(groups, make_run):
    weights = "d_weight=0.5, g_weight=0.2"
    run = make_run(f"augself-gan(predicted='{','.join(groups)}', {weights})")
    discriminator = run.ctx.discriminator.eval()  # spectral norms stand still
    part = run.method.parts[0][1]
    step = _d_step(run, _images(1), _images(2))
    terms = part.d_loss(run.ctx, step)
    sides = {
        "d_real": (step.raw_NCHW, step.real_NCHW, step.real_augmentation.draws, groups, 1),
        "d_fake": (step.raw_fake_NCHW, step.fake_NCHW, step.fake_augmentation.draws, groups, -1),
    }
    # float32 networks agree to about 1e-6 of a loss of size 1
    for name, side in sides.items():
        assert terms[name].item() == pytest.approx(0.5 * _errors(discriminator, *side), rel=1e-5)
    fakes = _images(3)
    g_step = _g_step(run, fakes)
    seen, draws = g_step.augmentation(fakes), g_step.augmentation.draws
    to_real, to_fake = (_errors(discriminator, fakes, seen, draws, groups, sign) for sign in (1, -1))
    found = part.g_loss(run.ctx, g_step)["g_fake"].item()
    assert found == pytest.approx(0.2 * (to_real - to_fake), rel=1e-4)  # of two numbers of size 1


def test_the_generators_term_is_linear_in_the_prediction():
    """(p - w)^2 - (p + w)^2 = -4 p w: it pulls G as hard wherever p is, to the side of the real images."""
    p, omega = (torch.rand(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    difference = augself.error({"color": p}, {"color": omega}, 1) - augself.error({"color": p}, {"color": omega}, -1)
    assert difference.item() == pytest.approx(-4 * (p * omega).mean().item(), rel=1e-12)


def test_d_learns_from_both_kinds_and_g_through_its_images(make_run):
    run = make_run("augself-gan")
    discriminator, part = run.ctx.discriminator, run.method.parts[0][1]
    sum(part.d_loss(run.ctx, _d_step(run, _images(1), _images(2))).values()).backward()
    trained = {name for name, p in discriminator.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in trained} == {"blocks", "added"}
    assert {name.split(".")[1] for name in trained if name.startswith("added")} == {f"augself_{one}" for one in ALL}
    fakes = _images(3).requires_grad_()
    part.g_loss(run.ctx, _g_step(run, fakes))["g_fake"].backward()
    assert fakes.grad.flatten(1).any(1).all()


@pytest.mark.parametrize("norm", ["as-discriminator", "spectral", "plain"])
def test_norm_of_the_heads(norm, make_run):
    head = make_run(f"augself-gan(norm={norm})").ctx.discriminator.added["augself_cutout"]
    assert parametrize.is_parametrized(head, "weight") is (norm != "plain")
    assert head.weight.shape == (2, 8)


def test_weights_of_nothing_leave_the_terms_out(make_run):
    run = make_run("augself-gan(d_weight=0, g_weight=0)").advance(1)
    assert not [name for name in run.logs[0] if name.startswith("augself-gan/")]
    plain = make_run("diffaugment(consistency=0)").advance(1)
    assert run.logs == plain.logs  # the same draws


@pytest.mark.slow
def test_conforms():
    """On a D that looks at the batch: its features come in calls of their own."""
    assert [finding for finding in check_method("augself-gan", "stylegan2-32") if not finding.passed] == []


def test_bad_settings_are_named(make_run):
    for text, error in {
        "policy=colour": "policy has the unknown group 'colour'; did you mean 'color'",
        "predicted=cutuot": "predicted has the unknown group 'cutuot'; did you mean 'cutout'",
        "policy=color": "'translation' is predicted, but policy has no such group",
        "predicted=''": "predicted is empty; leave the method out, or take diffaugment",
        "d_weight=-1": "d_weight is -1",
        "norm=spectal": "unknown norm 'spectal'; did you mean 'spectral'",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"augself-gan({text})"))
    with pytest.raises(UserError, match="brings DiffAugment itself; leave the part 'diffaugment' out"):
        make_run("diffaugment + augself-gan")
