"""Diffusion-GAN: the chain, t and the images of real steps against transcriptions, and D with and without t."""

from __future__ import annotations

import importlib
from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.store.checkpoints import fingerprint
from bench.train import Method

diffusion = importlib.import_module("bench.methods.diffusion_gan")
MOVING = "target=-1.5, speed_kimg=0.1, interval=1"  # p rises by a batch of 4 in 100 images: 0.04 a step


def abar(longest):
    """Of t = 0 ... T: the cumulative products of 1 - beta, beta at equal distances (Ho et al. 2020)."""
    return np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 2e-2, longest))])


@pytest.mark.parametrize("longest", [2, 10, 11, 500, 1000])
def test_products_are_those_of_a_linear_schedule(longest):
    found = diffusion.products(torch.tensor(float(longest), dtype=torch.float64), 1000).numpy()
    # float64; a sum of 1,000 logarithms and its exponential
    np.testing.assert_allclose(found[: longest + 1], abar(longest), rtol=1e-12)
    assert (found[longest:] == found[longest]).all() and len(found) == 1001


@pytest.mark.parametrize("longest", [1, 2, 10, 1000])
@pytest.mark.parametrize("choice", ["priority", "uniform"])
def test_steps_are_drawn_with_the_weights_that_are_said(choice, longest):
    """Equal distances in [0, 1) give each t as often as its share says, to one of them at each end."""
    count = 2**16
    share = torch.arange(count, dtype=torch.float64) / count
    found = diffusion.drawn_steps(share, torch.tensor(float(longest), dtype=torch.float64), choice)
    weight = np.arange(1, longest + 1) if choice == "priority" else np.ones(longest)
    times = np.bincount(found.numpy(), minlength=longest + 1)
    assert times[0] == 0 and len(times) == longest + 1
    assert np.abs(times[1:] - count * weight / weight.sum()).max() <= 1
    last = torch.tensor([0.0, np.nextafter(1, 0, dtype=np.float32)])  # the ends of what is drawn
    assert diffusion.drawn_steps(last, torch.tensor(float(longest)), choice).tolist() == [1, longest]


def test_images_are_those_of_the_chain_and_exactly_themselves_at_its_beginning():
    images, noise = (torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    kept = abar(10)[[0, 3, 10]]
    found = diffusion.diffused(images, torch.from_numpy(kept), noise).numpy()
    assert np.array_equal(found[0], images[0].numpy())
    root, rest = (np.sqrt(one)[:, None, None, None] for one in (kept, 1 - kept))
    np.testing.assert_allclose(found, root * images.double().numpy() + rest * noise.double().numpy(), atol=1e-6)


class Probe(Method):
    """Notes what a step's hooks see: t by D's condition, t by the augmentation, and the images before and after."""

    def __init__(self):
        self.d, self.g = [], []

    def d_loss(self, ctx, step):
        self.d.append(step)
        return {}

    def g_loss(self, ctx, step):
        self.g.append(step)
        return {}


def watched(run):
    probe = Probe()
    run.method.parts.append(("probe", probe))
    return probe


def remaining_noise(before, after, kept):
    """epsilon of y = sqrt(abar) x + sqrt(1 - abar) 0.05 epsilon, in float64."""
    root, rest = (np.sqrt(one)[:, None, None, None] for one in (kept, 1 - kept))
    return (after.detach().double().numpy() - root * before.detach().double().numpy()) / (0.05 * rest)


@pytest.mark.parametrize("told", [True, False])
def test_what_d_sees_is_diffused_by_the_step_that_it_is_told(told, make_run):
    run = make_run(f"diffusion-gan(told={str(told).lower()}, t_min=600)", batch=12, steps=3)
    probe = watched(run)
    run.advance(3)
    kept, noises = abar(600), []
    for step in probe.d:
        sides = (
            (step.raw_NCHW, step.real_NCHW, step.real_augmentation),
            (step.raw_fake_NCHW, step.fake_NCHW, step.fake_augmentation),
        )
        of_sides = [augmentation.draws["diffusion-gan/t_N"] for *_, augmentation in sides]
        if told:
            assert step.condition_NK.shape == (12, 1) and step.g_condition_NK is None
            np.testing.assert_allclose(step.condition_NK[:, 0].numpy() * 1000, of_sides[0].numpy(), atol=1e-3)
        else:
            assert step.condition_NK is None
        assert torch.equal(*of_sides) is told
        for (before, after, _), t in zip(sides, of_sides, strict=True):
            clean = t == 0
            assert t.min() >= 0 and t.max() <= 600 and torch.equal(before[clean], after[clean])
            noises.append(remaining_noise(before[~clean], after[~clean], kept[t[~clean].numpy()]).ravel())
    noise = np.concatenate(noises)
    assert len(noise) > 50_000
    # N(0, 1), within five standard errors; float32 images of size 1 give the noise to 1e-4
    assert abs(noise.mean()) < 5 / len(noise) ** 0.5 and abs(noise.std() - 1) < 5 / (2 * len(noise)) ** 0.5
    for d_step, g_step in zip(probe.d, probe.g, strict=True):
        t = g_step.augmentation.draws["diffusion-gan/t_N"]
        assert torch.equal(t, d_step.real_augmentation.draws["diffusion-gan/t_N"]) is told
        assert g_step.augmentation(g_step.images_NCHW).requires_grad


def test_the_chain_grows_with_p_and_half_of_the_list_is_undiffused(make_run):
    run = make_run(f"diffusion-gan({MOVING})", steps=30)
    part = run.method.parts[0][1]
    lists = []
    for _ in range(30):
        run.advance(1)
        lists.append(part.t_slots.clone())
        log = run.logs[-1]
        longest = 10 + round(990 * log["diffusion-gan/p"])
        assert log["diffusion-gan/longest"] == longest
        np.testing.assert_allclose(part.kept[: longest + 1].numpy(), abar(longest), rtol=1e-12)
        assert (lists[-1][:32] >= 1).all() and lists[-1].max() <= longest and not lists[-1][32:].any()
    assert [log["diffusion-gan/p"] for log in run.logs] == pytest.approx(
        [min(1.0, 0.04 * (step + 1)) for step in range(30)]
    )
    assert longest == 1000 and not torch.equal(lists[-1], lists[-2])


def test_the_list_is_drawn_anew_at_every_interval_alone(make_run):
    run = make_run("diffusion-gan(interval=3)", steps=7)
    lists = [run.method.parts[0][1].t_slots.clone()]
    for _ in range(7):
        lists.append(run.advance(1).method.parts[0][1].t_slots.clone())
    assert [torch.equal(one, other) for one, other in pairwise(lists)] == [
        True, True, False, True, True, False, True,
    ]  # fmt: skip


def test_d_is_told_beside_a_condition_that_g_has_alone(make_run):
    run = make_run("class-conditional + diffusion-gan", labels=np.arange(12) % 3)
    probe = watched(run)
    run.advance(2)
    assert (run.ctx.generator.condition_dim, run.ctx.discriminator.condition_dim) == (3, 4)
    for step in probe.d:
        assert torch.equal(step.condition_NK[:, :3], step.g_condition_NK)
        assert torch.equal((step.condition_NK[:, 3] * 1000).round().long(), step.fake_augmentation.draws[T])


T = "diffusion-gan/t_N"


def test_without_t_it_is_an_augmentation_alone(make_run):
    """D has no condition; and with no noise and a chain of next to nothing, the run is the plain one's."""
    run = make_run("diffusion-gan(told=false)")
    assert run.ctx.discriminator.condition_dim is None
    plain, still = (make_run(method).advance(1) for method in ("unconditional", "diffusion-gan(told=false, noise=0)"))
    kept = abar(10)[-1] ** 0.5
    assert kept > 0.94 and still.logs[0]["g_loss"] == pytest.approx(plain.logs[0]["g_loss"], rel=0.2)


def test_d_gets_its_t_and_a_gradient_from_it(make_run):
    run = make_run("diffusion-gan(t_min=1000)", batch=12).advance(1)
    before = {name: value.clone() for name, value in run.ctx.discriminator.named_parameters()}
    run.advance(2)
    moved = {
        name.split(".")[0] for name, value in run.ctx.discriminator.named_parameters() if value.ne(before[name]).any()
    }
    assert "condition_embedding" in moved
    images, told = torch.zeros(2, 3, 32, 32), torch.tensor([[0.0], [1.0]])
    first, last = run.ctx.discriminator(images, told).tolist()
    assert first != last


def test_a_run_that_is_stopped_between_two_lists_goes_on_as_it_was(make_run, tmp_path):
    method = "diffusion-gan(target=-1.5, speed_kimg=0.1, interval=2) + baseline"
    straight = make_run(method, steps=5).advance(5)
    saved = make_run(method, steps=5).advance(3).save(tmp_path / "halfway.pt")
    resumed = make_run(method, steps=5).load(saved).advance(2)
    assert fingerprint(resumed.state()) == fingerprint(straight.state())
    assert resumed.logs == straight.logs[3:] and straight.logs[-1]["diffusion-gan/p"] > 0


@pytest.mark.slow
def test_conforms():
    method = "diffaugment(consistency=0) + r1(point=raw) + diffusion-gan"
    assert [finding for finding in check_method(method, "stylegan2-32") if not finding.passed] == []


def test_bad_settings_are_named():
    for text, error in {
        "noise=-0.1": "noise is -0.1, must be 0 or more",
        "t_min=1": "t_min is 1, must be 2 or more and at most t_max, 1000",
        "t_min=20, t_max=10": "t_min is 20, must be 2 or more and at most t_max, 10",
        "choice=unifrom": "unknown choice 'unifrom'; did you mean 'uniform'",
        "speed_kimg=0": "'diffusion-gan': speed_kimg must be positive",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"diffusion-gan({text})"))
