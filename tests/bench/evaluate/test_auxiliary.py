"""The auxiliary measure: against closed forms, against a recomputation in float64, and on runs that cannot have it."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from bench import seeds
from bench.contract.base import Auxiliary
from bench.errors import UserError
from bench.evaluate.registry import parse_measure, refuse_impossible, run_measure, settings_of
from bench.run.reopen import reopen
from bench.store.runs import Store
from evaluated import evaluation, finished, values

lt = importlib.import_module("bench.methods.lt")
LINEAR = SimpleNamespace(z_dim=1)


def subject(same, sigma=0.5):
    """A run whose images are their latents, with this auxiliary network."""
    return SimpleNamespace(
        method=SimpleNamespace(auxiliary=lambda ctx: Auxiliary(sigma, same)),
        opened=SimpleNamespace(ctx=None),
        generator=LINEAR,
        sampler=lambda generator, z, stream: z,
        stream=lambda *purpose: seeds.torch_stream(0, *purpose),
        device="cpu",
        pause=lambda: None,
    )


def taken(same, **settings):
    card, spec = run_measure("auxiliary"), parse_measure({"measure": "auxiliary", **settings})
    (value,) = card.compute(subject(same), settings_of(spec)).values
    assert value.n_generated == spec.settings["pairs"]
    return value.value, value.error


def oracle(images, moved, partner):
    """The steps are equal to the rounding of z + e - z, or they are not."""
    steps = (moved - images).squeeze(1)
    return ((steps - steps[partner]).abs() < 1e-5).float() - 0.5


@pytest.mark.parametrize("pairs", [4, 130, 3002])
def test_one_that_knows_one_that_is_wrong_and_one_that_guesses(pairs):
    assert taken(oracle, pairs=pairs) == (100, 0)
    assert taken(lambda *given: -oracle(*given), pairs=pairs) == (0, 0)
    always, error = taken(lambda images, moved, partner: torch.ones(len(images)), pairs=4 * (pairs // 4))
    assert always == pytest.approx(50, abs=100 / pairs) and error > 0


def test_a_threshold_is_right_as_often_as_the_normal_distribution_says():
    """It calls steps equal that are nearer than t. Unequal ones differ by N(0, 2 sigma^2): it is wrong about those of
    them inside t, P = erf(t / 2 sigma), and right about all equal ones. Small steps are harder to tell apart.
    """

    def threshold(images, moved, partner):
        steps = (moved - images).squeeze(1)
        return 0.3 - (steps - steps[partner]).abs()

    found = {}
    for sigma in (None, 0.1, 2.0):
        found[sigma], error = taken(threshold, pairs=6000, sigma=sigma)
        expected = 100 - 50 * math.erf(0.3 / (2 * (sigma or 0.5)))
        assert abs(found[sigma] - expected) < 4 * error, sigma
    assert found[0.1] < found[None] < found[2.0]


def test_a_couple_is_one_observation():
    """Its two answers are alike here: the error is that of 1,500 draws of variance a quarter."""

    def coin(images, moved, partner):
        return ((moved + moved[partner]).squeeze(1) > 0).float() - 0.5

    value, error = taken(coin, pairs=3000)
    assert error == pytest.approx(100 * math.sqrt(0.25 / 1500), rel=0.05) and abs(value - 50) < 4 * error


@pytest.mark.parametrize("method", ["lt(layer=1, pool=3, warmup_share=0)", "lt(network=convolutional, sigma=0.8)"])
def test_of_a_run_it_is_what_its_own_parts_say_one_pair_at_a_time(method, tiny_spec, store_root):
    """In evaluation mode A, D and G look at one image at a time: loops over couples give the same answers. An answer
    whose logit is 0 to rounding (float32 networks of size 1: 1e-4) may be either.
    """
    store, run = Store(store_root), tiny_spec(method, scored=True)
    finished(store, run)
    found = values(finished(store, evaluation(run, measure="auxiliary", pairs=20)))["auxiliary_accuracy"]
    opened = reopen(store.folder(run.uid), store, "final")
    part, discriminator = opened.method.parts[0][1], opened.ctx.discriminator.eval()
    part.network.eval()

    def drawn(purpose, *shape):
        return torch.randn(*shape, generator=seeds.torch_stream(0, "evaluate", "auxiliary", purpose, 0))

    def features(images):
        return functional.avg_pool2d(lt.layer_output(discriminator, part.layer, images), part.pool, part.stride)

    z, steps, right, unsure = drawn("latents", 20, 16), drawn("steps", 10, 2, 16) * part.sigma, 0, 0
    with torch.no_grad():
        for couple in range(10):
            equal = couple % 2 == 0
            own = [steps[couple, 0], steps[couple, 0] if equal else steps[couple, 1]]
            codes = z[2 * couple : 2 * couple + 2]
            maps = [
                features(opened.generator((code + step)[None])) - features(opened.generator(code[None]))
                for code, step in zip(codes, own, strict=True)
            ]
            for one, other in (maps, maps[::-1]):
                logit = float(part.network(torch.cat([one, other], 1)))
                right, unsure = right + ((logit > 0) == equal), unsure + (abs(logit) < 1e-4)
    assert abs(found - 100 * right / 20) <= 5 * unsure and unsure < 3


def test_a_run_without_an_auxiliary_network_is_refused(tiny_spec):
    task = evaluation(tiny_spec("unconditional", scored=True), measure="auxiliary")
    with pytest.raises(UserError, match="measure 'auxiliary': the method of run .* has no auxiliary network"):
        refuse_impossible(task)
    refuse_impossible(evaluation(tiny_spec("diffaugment + lt", scored=True), measure="auxiliary"))
    for settings, message in ({"sigma": 0}, "greater than 0"), ({"pairs": 25}, "multiple of 2"):
        with pytest.raises(UserError, match=message):
            parse_measure({"measure": "auxiliary", **settings})
