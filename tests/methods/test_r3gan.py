"""R3GAN's loss against a transcription in the engine's loop, its penalties against closed forms."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import seeds
from bench.contract.composition import build_method
from bench.contract.context import Augmentation, DStep
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.train import Method
from toy_loop import BATCH, TABLE, assert_same, context, networks, train, transcribed

R3GAN = importlib.import_module("bench.methods.r3gan").R3GAN


class HalfNegative(Method):
    """An augmentation without chance."""

    def augment(self, ctx, images_NCHW):
        return -images_NCHW / 2


class Augmenting(nn.Module):
    """D with the augmentation in front, for the transcription."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images, condition):
        return self.inner(-images / 2, condition)


def squares(discriminator, images, conditions):
    """|grad_x D(x)|^2 of each image by itself, D's mean over patches."""
    found = []
    for image, condition in zip(images, conditions, strict=True):
        leaf = image.detach()[None].requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(leaf, condition[None]).mean(), leaf, create_graph=True)
        found.append(gradient.square().sum())
    return torch.stack(found)


@pytest.mark.parametrize("patches", [None, 5])
def test_it_trains_as_a_transcription_does(patches):
    """At every place of the batch a real and a generated image; the penalties at the images before augmentation."""
    ctx, (generator, inner) = context(None, networks(patches)), networks(patches)
    logs, pair = train(ctx, R3GAN(gamma=3.0), HalfNegative()), (generator, Augmenting(inner))
    calls, held = iter(range(100)), {}

    def reals(images, index):
        held.update(images=images.double(), call=next(calls))
        return images

    def d_loss(real, fake, index):
        step, update = divmod(held["call"], 3)
        z, y = torch.randn(BATCH, 3, generator=seeds.torch_stream(11, "latents", step, update + 1)), TABLE[index]
        r1, r2 = (squares(pair[1], images, y).mean() for images in (held["images"], generator(z, y)))
        held["terms"] = 1.5 * r1.item(), 1.5 * r2.item()
        return F.softplus(-(real - fake)).mean() + 1.5 * (r1 + r2)

    wanted = transcribed(pair, d_loss, lambda fake, real: F.softplus(-(fake - real)).mean(), reals)
    assert_same(ctx, logs, pair, wanted)
    assert all(term > 1e-3 for term in held["terms"])  # they are there to be wrong
    assert {"r3gan/r1", "r3gan/r2", "r3gan/gamma"} <= set(logs[0]) and logs[-1]["r3gan/gamma"] == 3.0


def test_the_pair_loss_is_the_same_for_both_sides():
    """G's loss is D's with real and generated exchanged, and both are log 2 where D sees no difference."""
    part, real, fake = R3GAN(), torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 4.0, 0.5])
    of_d = part.d_adversarial(None, SimpleNamespace(real_logits_N=real, fake_logits_N=fake))
    of_g = part.g_adversarial(None, SimpleNamespace(real_logits=lambda: fake, logits_N=real))
    assert of_d.item() == pytest.approx((math.log1p(math.exp(-1)) + math.log1p(math.exp(5)) + math.log(2)) / 3)
    assert of_g.item() == of_d.item()
    shifted = part.d_adversarial(None, SimpleNamespace(real_logits_N=real + 7, fake_logits_N=fake + 7))
    assert shifted.item() == pytest.approx(of_d.item(), rel=1e-6)  # it is of their difference alone


def test_the_penalties_of_a_linear_d_are_its_weights_square():
    """D(x) = w . x after an augmentation a x: |grad|^2 = a^2 |w|^2, another a on each side."""
    w = torch.randn(12, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    images, logits = torch.zeros(5, 3, 2, 2, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    step = DStep(
        None, None, None, None, logits, logits,
        discriminate=lambda x, _: x.flatten(1) @ w,
        real_augmentation=Augmentation(5, {}, lambda x: 2 * x),
        fake_augmentation=Augmentation(5, {}, lambda x: 3 * x),
        raw_NCHW=images,
        raw_fake_NCHW=images,
    )  # fmt: skip
    ctx = SimpleNamespace(
        step=0, device=torch.device("cpu"), discriminator=None,
        train=SimpleNamespace(compile=False, d_steps=1, batch=5),
    )  # fmt: skip
    part = R3GAN(gamma=0.25)  # which float32 has exactly
    part.begin_step(ctx)
    terms = part.d_loss(ctx, step)
    assert terms["r1"].item() == pytest.approx(0.125 * 4 * w.square().sum().item(), rel=1e-12)
    assert terms["r2"].item() == pytest.approx(0.125 * 9 * w.square().sum().item(), rel=1e-12)
    assert R3GAN(gamma=0.0).d_loss(ctx, step) == {}


def test_gamma_falls_along_half_a_cosine_and_stays():
    part = R3GAN(gamma=2.0, gamma_end=0.2, burn_in_kimg=0.4)
    ctx = SimpleNamespace(train=SimpleNamespace(d_steps=2, batch=10))  # 20 images a step: 20 steps
    for step in (0, 5, 10, 15, 20, 500):
        ctx.step = step
        part.begin_step(ctx)
        expected = 0.2 + 1.8 * math.cos(math.pi / 2 * min(step / 20, 1)) ** 2  # (1 + cos 2a) / 2 = cos^2 a
        assert float(part.now) == pytest.approx(expected, rel=1e-6)  # kept in float32


def test_bad_settings_are_named():
    for text, error in {
        "gamma=-1": "gamma is -1, must be 0 or more",
        "gamma_end=-0.5": "gamma_end is -0.5",
        "burn_in_kimg=0": "burn_in_kimg is 0, must be above 0",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"r3gan({text})"))
