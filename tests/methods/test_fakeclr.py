"""FakeCLR: the weights of its negatives against transcriptions, and a queue that keeps three things in step."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError

fakeclr = importlib.import_module("bench.methods.fakeclr")


def _normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_distance_weights_are_the_share_of_the_usual_distance():
    z, other = _normal(3, 6), _normal(5, 6, seed=1)
    expected = [[min(1, ((a - b) ** 2).sum() / 12) for b in other.numpy()] for a in z.numpy()]
    np.testing.assert_allclose(fakeclr.distance_weights(z, other).numpy(), expected, rtol=1e-10)
    assert fakeclr.distance_weights(z, z).diagonal().tolist() == [1e-6] * 3
    # Two standard normal latents: a mean of 1 before it is cut off at 1
    assert fakeclr.distance_weights(_normal(200, 400), _normal(200, 400, seed=1)).mean().item() > 0.95


def test_ages_are_a_softmax_over_the_queue():
    steps = np.array([3.0, 3, 4, 5])
    scaled = steps / 5
    scaled = scaled / np.sqrt((scaled**2).sum()) / 0.01
    expected = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
    found = fakeclr.age_terms(torch.from_numpy(steps), 0.01)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert found.argmax() == 3 and found.sum().item() == pytest.approx(1)
    assert fakeclr.age_terms(torch.zeros(4), 0.01).tolist() == [0.25] * 4  # before the first key


def test_along_an_axis_of_length_one_nothing_would_be_forgotten():
    """The published head's axis: whatever the steps, each key gets 1."""
    steps = torch.tensor([[3.0, 3, 4, 5]])
    scaled = torch.nn.functional.normalize(steps / steps.max(), p=2, dim=0) / 0.01
    assert scaled.softmax(dim=0).tolist() == [[1.0] * 4]


@pytest.mark.parametrize("forgetting", [0.01, 0])
def test_the_loss_weighs_every_negative(make_run, forgetting):
    run = make_run(f"fakeclr(queue=6, forgetting={forgetting}) + diffaugment(consistency=0)")
    part, seen = run.method.parts[0][1], []
    discriminator = run.ctx.discriminator.eval()  # spectral norms stand still
    for optimizer in (run.optimizers.discriminator, run.optimizers.generator):
        optimizer.param_groups[0]["lr"] = 0.0
    g_loss = part.g_loss
    part.g_loss = lambda ctx, step: seen.append((step, g_loss(ctx, step))) or seen[-1][1]
    run.advance(3)
    step, terms = seen[-1]
    # Three steps of four keys: the last two of step 2, then those of step 3
    assert part.steps_R.tolist() == [2, 2, 3, 3, 3, 3]
    assert torch.equal(part.slow.features(step.images_NCHW), discriminator.features(step.images_NCHW))
    run.ctx.begin_step(2)  # whose augmentations they are
    with torch.no_grad():
        images = step.images_NCHW
        views = step.augmentation(images), step.augmentation(images.roll(1, 0)).roll(-1, 0)
        first, _, last = discriminator.added["fakeclr_fake"]
        query, key = (
            torch.relu(discriminator.features(view) @ first.weight.T + first.bias) @ last.weight.T + last.bias
            for view in views
        )
    query, key, queue, z, other = (
        value.double().numpy() for value in (query, key, part.keys_RD, step.z_NZ, part.latents_RZ)
    )
    query, key = (value / np.linalg.norm(value, axis=1, keepdims=True) for value in (query, key))
    ages = fakeclr.age_terms(part.steps_R.double(), 0.01).numpy() if forgetting else np.zeros(6)
    losses = []
    for i in range(4):
        weights = np.minimum(1, ((z[i] - other) ** 2).sum(1) / (2 * z.shape[1]))
        negative = (weights * np.exp((queue @ query[i] + ages) / 0.2)).sum()
        positive = np.exp(query[i] @ key[i] / 0.2)
        losses.append(-np.log(positive / (positive + negative)))
    # float32 networks agree to about 1e-6 of a loss of size 1.
    assert terms["diverse"].item() == pytest.approx(0.1 * np.mean(losses), rel=1e-4)


def test_keys_latents_and_steps_enter_together(make_run):
    run = make_run("fakeclr(queue=8)")
    part, seen, d_loss = run.method.parts[0][1], [], run.method.parts[0][1].d_loss
    part.d_loss = lambda ctx, step: seen.append(step) or d_loss(ctx, step)
    run.advance(3)
    assert torch.equal(part.latents_RZ, torch.cat([step.z_NZ for step in seen[-2:]]))
    assert part.steps_R.tolist() == [2] * 4 + [3] * 4
    torch.testing.assert_close(part.keys_RD.norm(dim=1), torch.ones(8))


def test_only_generated_images_are_told_apart(make_run):
    logged = make_run("fakeclr").advance(1).logs[0]
    assert {name for name in logged if name.startswith("fakeclr/")} == {"fakeclr/fake", "fakeclr/diverse"}
    assert "fakeclr/diverse" not in make_run("fakeclr(g_weight=0)").advance(1).logs[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forgetting=-1", "forgetting is -1, must be 0 or more"),
        ("weight=0", "weight is 0, and the head would learn nothing"),
        ("momentum=-0.5", "momentum is -0.5, must be 0 or more and below 1"),
    ],
)
def test_impossible_settings_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        build_method(parse_method(f"fakeclr({text})"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "network"), [("diffaugment + fakeclr + baseline", "sngan-32"), ("fakeclr", "stylegan2-32")]
)
def test_conforms(method, network):
    assert [finding for finding in check_method(method, network) if not finding.passed] == []
