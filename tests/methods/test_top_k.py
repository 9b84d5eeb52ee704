"""Top-k training: which images G learns from, and how many, against plain sorting in Python."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from toy_loop import BATCH, IMAGES, assert_same, context, hinge, networks, train, transcribed

top_k = importlib.import_module("bench.methods.top_k")


@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_k_highest_share_the_weight_of_all(k):
    logits = torch.randn(7, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
    chosen = sorted(range(7), key=lambda i: -logits[i].item())[:k]
    expected = [7 / k if i in chosen else 0.0 for i in range(7)]
    found = top_k.best(logits, torch.tensor(float(k), dtype=torch.float64))
    assert found.tolist() == pytest.approx(expected, rel=1e-15)


def test_of_equal_logits_the_first_count_and_never_more_than_k():
    weights = top_k.best(torch.tensor([1.0, 2.0, 1.0, 1.0]), torch.tensor(2.0))
    assert weights.tolist() == [2.0, 2.0, 0.0, 0.0]


def _k(epoch, batch, gamma=0.99, nu=0.5):
    """The paper's, step by step: k starts at B and falls with each epoch."""
    k = float(batch)
    for _ in range(epoch):
        k = max(k * gamma, nu * batch)
    return int(k)


def test_k_falls_with_every_pass_over_the_images_to_its_floor():
    part, seen = top_k.TopK(), []
    ctx = SimpleNamespace(
        train=SimpleNamespace(d_steps=2, batch=16),
        images_u8_NHWC=np.zeros((100, 1)),
        gathered=lambda x: x,
        own=lambda x: x,
    )
    logits = torch.arange(16.0)
    for step in range(0, 300, 7):
        ctx.step = step
        part.begin_step(ctx)
        weights = part.g_weights(ctx, SimpleNamespace(logits_N=logits))
        kept = int((weights > 0).sum())
        assert kept == _k(step * 32 // 100, 16)
        assert weights.mean().item() == pytest.approx(1) and (weights[16 - kept :] > 0).all()
        seen.append(kept)
    assert seen[0] == 16 and seen[-1] == 8 and set(seen) == set(range(8, 17))
    assert float(part.after_step(ctx)["share"]) == 0.5


def test_one_image_is_left_at_least():
    assert top_k.TopK(nu=0.01, gamma=0.01).share == 1
    run = context()
    part = top_k.TopK(nu=0.01, gamma=0.01)
    run.step = 2
    part.begin_step(run)
    weights = part.g_weights(run, SimpleNamespace(logits_N=torch.tensor([0.0, 3.0, 1.0])))
    assert weights.tolist() == [0, 3, 0]


@pytest.mark.parametrize("patches", [None, 5])
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_it_trains_as_a_transcription_does(micro_batch, patches):
    """12 images of 20 an update, two updates a step: epochs 0, 1, 2 at steps 0, 1, 2."""
    ctx, pair = context(micro_batch, networks(patches)), networks(patches)
    logs, steps = train(ctx, top_k.TopK(gamma=0.6, nu=0.5)), iter(range(3))

    def g_loss(fake, real):
        epoch, chunk = next(steps) * 2 * BATCH // len(IMAGES), micro_batch or BATCH
        k = _k(epoch, chunk, gamma=0.6)
        means = [one.reshape(chunk, -1).mean(1) for one in fake.split(chunk)]
        return torch.stack([-one.topk(k).values.mean() for one in means]).mean()

    assert_same(ctx, logs, pair, transcribed(pair, hinge, g_loss))
    assert [log["topk/share"] for log in logs] == pytest.approx([1, 0.6, 0.5])
    assert [log["g_weight"] for log in logs] == pytest.approx([1.0] * 3, rel=1e-6)


def test_it_cannot_weigh_the_images_of_a_replaced_loss():
    with pytest.raises(UserError, match="'top-k' weighs images .* that method 'r3gan' replaces"):
        build_method(parse_method("top-k + r3gan"))


def test_bad_settings_are_named():
    for text, error in {"gamma=0": "gamma is 0, must be above 0 and at most 1", "nu=1.5": "nu is 1.5"}.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"top-k({text})"))
