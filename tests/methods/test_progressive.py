"""Progressive growing: its schedule against the port's loop, what it sets in a run, and that a run resumes in it."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
import torch

from bench.conformance import checks
from bench.conformance.checks import check_method
from bench.errors import UserError
from bench.networks import NETWORKS
from bench.networks.stylegan1.recipes import stylegan1_32
from bench.store.checkpoints import fingerprint

progressive = importlib.import_module("bench.methods.progressive")
SMALL = {"w_dim": 8, "channel_base": 128, "channel_max": 8, "mapping_layers": 2, "mbstd_group": 2}


def growing(*, z_dim=8, g_width=8, d_width=8, sn_generator=True):
    """A small StyleGAN at 32 pixels with the settings that the runs of these tests hand to every network."""
    return stylegan1_32(z_dim=z_dim, noise="const", **SMALL)


@pytest.fixture
def grow(make_run):
    """A run of a method on `growing`."""
    with NETWORKS.override("growing-32", growing):
        yield lambda method, **options: make_run(method, network="growing-32", **options)


def port(batch, phase, start, top, steps):
    """(level, alpha) of each iteration of the port's training loop, transcribed."""
    level, used, alpha, final = start, 0, 0.0, False
    for _ in range(steps):
        alpha = min(1, 1 / phase * (used + 1))
        if level == start or final:
            alpha = 1
        if used > phase * 2:
            used, level = 0, level + 1
            if level > top:
                level, final = top, True
            else:
                alpha = 0
        used += batch
        yield level, alpha


@pytest.mark.parametrize(("batch", "phase"), [(4, 600), (32, 6400), (7, 1000)])
def test_the_schedule_is_the_ports(batch, phase):
    steps = 10 * phase // batch
    theirs = list(port(batch, phase, 1, 4, steps))
    ours = [progressive.growth(step * batch, 1, 4, phase) for step in range(steps)]
    assert {level for level, _ in ours} == {1, 2, 3, 4}
    # The port starts a level with the first batch after the phase's end (and not at it): up to two batches a level.
    doublings = [level for level, _ in theirs].index(4) - [level for level, _ in ours].index(4)
    assert 0 <= doublings <= 3 * 2
    for level in (2, 3, 4):
        first, other = ([one for one, _ in both].index(level) for both in (ours, theirs))
        for later in range(2 * phase // batch):
            if first + later < steps and other + later < steps:
                # The port counts one image more, and within a level one batch from its own start.
                near = (2 * batch + 1) / phase
                assert ours[first + later][1] == pytest.approx(theirs[other + later][1], abs=near)


def test_the_schedule_in_full():
    phase = 600_000
    expected = {
        0: (1, 1.0),
        2 * phase - 1: (1, 1.0),
        2 * phase: (2, 0.0),
        2 * phase + phase // 4: (2, 0.25),
        3 * phase: (2, 1.0),
        4 * phase - 1: (2, 1.0),
        4 * phase: (3, 0.0),
        8 * phase: (5, 0.0),
        9 * phase - phase // 2: (5, 0.5),
        9 * phase: (5, 1.0),  # whole: 168,750 steps of 32 images
        100 * phase: (5, 1.0),
    }
    assert {seen: progressive.growth(seen, 1, 5, phase) for seen in expected} == expected
    assert progressive.growth(0, 5, 5, phase) == progressive.growth(10**9, 5, 5, phase) == (5, 1.0)  # starts whole


def test_a_run_grows_generator_discriminator_and_average(grow):
    run = grow("progressive(start=8, images_per_phase=16)", batch=4, d_steps=2, steps=12)
    networks = (run.ctx.generator, run.ctx.discriminator, run.ctx.ema)
    assert {(one.level, one.alpha) for one in networks} == {(1, 1.0)}  # before the first step, for its samples
    # 8 real images a step, 32 a level of which 16 fade in.
    expected = [(1, 1.0)] * 4 + [
        (2, 0.0),
        (2, 0.5),
        (2, 1.0),
        (2, 1.0),
        (3, 0.0),
        (3, 0.5),
        (3, 1.0),
        (3, 1.0),
    ]
    for level, alpha in expected:
        run.advance(1)
        assert {(one.level, one.alpha) for one in networks} == {(level, alpha)}
        assert run.logs[-1]["progressive/pixels"] == 4 * 2**level
        assert run.logs[-1]["progressive/alpha"] == alpha


def test_layers_train_from_when_they_are_grown(grow):
    run = grow("progressive(start=8, images_per_phase=4) + r1", batch=4, steps=8)
    start = {name: p.clone() for name, p in run.ctx.generator.named_parameters()}

    def moved(run):
        return {n for n, p in run.ctx.generator.named_parameters() if not torch.equal(p, start[n])}

    blocks = [f"synthesis.blocks.{number}.conv.weight" for number in range(4)]
    rgb = [f"synthesis.to_rgb.{number}.weight" for number in range(4)]
    run.advance(2)  # two phases at 8 pixels
    assert moved(run) & {*blocks, *rgb} == {*blocks[:2], rgb[1]}
    run.advance(1)  # 16 pixels at alpha 0: the new layers have a gradient of zero
    run.advance(1)
    assert moved(run) & {*blocks, *rgb} == {*blocks[:3], *rgb[1:3]}
    with torch.no_grad():
        images = run.sample(2)
    assert torch.equal(images[:, :, ::2, ::2], images[:, :, 1::2, 1::2])  # 16 pixels, each four times


def test_a_resumed_run_is_bit_equal_and_grown_before_its_first_step(grow, tmp_path):
    method = "progressive(start=4, images_per_phase=6) + r1"
    straight = grow(method, steps=8).advance(8)
    for stop in (1, 4, 6):  # at 4 pixels; at 8; at 16, half faded in
        halfway = grow(method, steps=8).advance(stop)
        resumed = grow(method, steps=8).load(halfway.save(tmp_path / f"{stop}.pt"))
        assert (resumed.ctx.ema.level, resumed.ctx.ema.alpha) == (
            halfway.ctx.ema.level,
            halfway.ctx.ema.alpha,
        )
        assert torch.equal(resumed.sample(2), halfway.sample(2))
        assert fingerprint(resumed.advance(8 - stop).state()) == fingerprint(straight.state())
    assert straight.ctx.ema.level == 2


@pytest.mark.slow
def test_conforms(monkeypatch):
    options = {"z_dim": 16, "shared_dim": 16, **SMALL}
    monkeypatch.setitem(checks.NETWORKS, "stylegan1-32", options)
    findings = check_method("progressive(start=8, images_per_phase=6) + r1", "stylegan1-32")
    assert len(findings) > 5
    assert [(one.check, one.detail) for one in findings if not one.passed] == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"start": 2}, "start is 2, must be a power of two, 4 or more"),
        ({"start": 12}, "start is 12, must be a power of two"),
        ({"start": 8.0}, "start is 8.0, must be a power of two"),
        ({"images_per_phase": 0}, "images_per_phase is 0, must be a whole number, 1 or more"),
        ({"images_per_phase": 1e5}, "images_per_phase is 100000.0, must be a whole number"),
    ],
)
def test_impossible_settings_are_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        progressive.Progressive(**settings)


def test_networks_that_cannot_grow_so_are_refused(make_run, grow):
    with pytest.raises(UserError, match="this network does not grow; use stylegan1-32"):
        make_run("progressive")
    with pytest.raises(UserError, match="start is 64, must be at most 32, the network's pixels"):
        grow("progressive(start=64)")
    ctx = SimpleNamespace(networks=lambda: (SimpleNamespace(resolution=32), None))
    with pytest.raises(UserError, match="does not grow"):
        progressive.Progressive().prepare(ctx)
