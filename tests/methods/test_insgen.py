"""InsGen: both losses against a transcription, who learns from which, and the queues of a training."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError

contrast = importlib.import_module("bench.methods.common.contrast")


def _watched(make_run, method, hook, **options):
    """A run after two steps, the last call of a hook of its first part: the step, the terms, and the queues before."""
    run = make_run(method, **options)
    part, calls = run.method.parts[0][1], []
    original = getattr(part, hook)

    def watch(ctx, step):
        queues = {name: value.clone() for name, value in vars(part).items() if name.endswith("_RD")}
        terms = original(ctx, step)
        calls.append((step, terms, queues))
        return terms

    setattr(part, hook, watch)
    run.advance(2)
    return run, part, calls[-1]


def _transcription(query, key, queue):
    """Mean cross entropy of the positive among 1 + R logits, float64."""
    query, key, queue = (value.detach().double().numpy() for value in (query, key, queue))
    terms = []
    for q, k in zip(query, key, strict=True):
        logits = np.array([q @ k, *(queue @ q)]) / 0.2
        terms.append(np.log(np.exp(logits).sum()) - logits[0])
    return np.mean(terms)


def _head(discriminator, name, features):
    first, _, last = discriminator.added[f"insgen_{name}"]
    out = torch.relu(features @ first.weight.T + first.bias) @ last.weight.T + last.bias
    return out / out.norm(dim=1, keepdim=True)


def test_terms_of_d_are_those_of_the_views_it_saw(make_run):
    """Of a step whose networks have not moved since: with rates of nothing, in evaluation mode."""
    run = make_run("insgen(queue=6) + diffaugment(consistency=0)")
    part, (_, discriminator) = run.method.parts[0][1], run.ctx.networks()
    discriminator.eval()  # spectral norms stand still
    for group in (*run.optimizers.discriminator.param_groups, *run.optimizers.generator.param_groups):
        group["lr"] = 0.0
    seen, d_loss = [], part.d_loss
    original = contrast.near_images

    def watch(ctx, step):
        before = part.real_RD.clone(), part.fake_RD.clone()
        near = []
        contrast.near_images = lambda *given: near.append(original(*given)) or near[-1]
        try:
            terms = d_loss(ctx, step)
        finally:
            contrast.near_images = original
        seen.append((step, terms, before, near[0]))
        return terms

    part.d_loss = watch
    run.advance(1)
    step, terms, (real_queue, fake_queue), near = seen[0]
    run.ctx.begin_step(0)  # whose augmentations they are

    def view(augmentation, images):
        return augmentation(images.roll(1, 0)).roll(-1, 0)

    with torch.no_grad():
        pairs = {
            "real": (step.real_NCHW, view(step.real_augmentation, step.raw_NCHW), real_queue),
            "fake": (step.fake_NCHW, view(step.fake_augmentation, near), fake_queue),
        }
        for name, (image, twin, queue) in pairs.items():
            query = _head(discriminator, name, discriminator.features(image))
            key = _head(part.slow, name, part.slow.features(twin))
            # float32 networks agree to about 1e-6 of a loss of size 1.
            assert terms[name].item() == pytest.approx(_transcription(query, key, queue), rel=1e-4)
            # The keys have entered the queue last, in their order
            now = getattr(part, f"{name}_RD")
            torch.testing.assert_close(now[-4:], key, rtol=1e-4, atol=1e-5)
            assert torch.equal(now[:2], queue[4:])


def test_g_learns_from_frozen_heads_and_queues(make_run):
    _, part, (step, terms, queues) = _watched(make_run, "insgen(g_weight=0.5) + diffaugment", "g_loss")
    assert list(terms) == ["diverse"] and step.images_NCHW.grad_fn is not None
    twice = make_run("insgen(g_weight=0.5) + diffaugment", d_steps=1)
    assert torch.equal(part.fake_RD, queues["fake_RD"]) and torch.equal(part.real_RD, queues["real_RD"])
    before = {name: p.clone() for name, p in twice.ctx.discriminator.named_parameters()}
    for group in twice.optimizers.discriminator.param_groups:
        group["lr"] = 0.0
    twice.advance(1)
    assert all(torch.equal(p, before[name]) for name, p in twice.ctx.discriminator.named_parameters())


def test_the_heads_learn_and_the_copy_lags_behind(make_run):
    run = make_run("insgen + diffaugment")
    part = run.method.parts[0][1]
    before = {name: p.clone() for name, p in run.ctx.discriminator.added.named_parameters()}
    run.advance(3)
    moved = {name: (p - before[name]).abs().max() for name, p in run.ctx.discriminator.added.named_parameters()}
    assert len(moved) == 8 and all(value > 1e-4 for value in moved.values())
    for name, p in part.slow.added.named_parameters():
        assert 0 < (p - before[name]).abs().max() < 0.01 * moved[name]


def test_weights_choose_the_terms(make_run):
    for text, terms in {
        "insgen": {"real", "fake", "diverse"},
        "insgen(real_weight=0)": {"fake", "diverse"},
        "insgen(fake_weight=0)": {"real"},
        "insgen(g_weight=0)": {"real", "fake"},
    }.items():
        logged = make_run(text).advance(1).logs[0]
        assert {name.partition("/")[2] for name in logged if name.startswith("insgen/")} == terms


def test_it_takes_what_a_later_part_loads_into_d(make_run, make_pictures, tmp_path):
    trained = make_run("unconditional", images=make_pictures(12, seed=5), seed=5).advance(2).save(tmp_path / "n.pt")
    run = make_run("insgen + transfergan", sources={"network": trained})
    run.ctx.begin_step(0)
    run.method.begin_step(run.ctx)
    slow = run.method.parts[0][1].slow.state_dict()
    assert all(torch.equal(slow[name], value) for name, value in run.ctx.discriminator.state_dict().items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("insgen(real_weight=-1)", "real_weight is -1, must be 0 or more"),
        ("insgen(sigma=0)", "sigma is 0, must be above 0"),
        ("insgen(momentum=1)", "momentum is 1, must be 0 or more and below 1"),
        ("insgen(queue=0)", "queue is 0, must be 1 or more keys"),
        ("insgen(real_weight=0, fake_weight=0)", "nothing would be learnt"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(text))


def test_a_batch_of_one_image_is_refused(make_run):
    with pytest.raises(UserError, match="batch and micro_batch must be 2 or more"):
        make_run("insgen", batch=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "network"), [("ada-lite + insgen + baseline", "sngan-32"), ("insgen", "fastgan-64")]
)
def test_conforms(method, network):
    assert [finding for finding in check_method(method, network) if not finding.passed] == []
