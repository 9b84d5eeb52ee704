"""Modules that a part attaches to a network: trained with it, held with it, saved, averaged, seeded."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import pytest
import torch
from torch import nn

from bench import networks
from bench.contract.composition import Composition
from bench.errors import UserError
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.ema import make_ema, update_ema
from bench.train.optimizers import Optimizers

copy_weights = importlib.import_module("bench.methods.transfergan").copy_weights
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
TINY = {"z_dim": 8, "g_width": 8, "d_width": 8}


class Attaching(Method):
    """A layer at each network; both enter both losses."""

    def prepare(self, ctx):
        with ctx.initialised("attaching"):
            ctx.attach("generator", "colour", nn.Linear(3, 3))
            ctx.attach("discriminator", "head", nn.Linear(3, 1))

    def _terms(self, ctx, images_NCHW):
        colour_N3 = ctx.generator.added["colour"](images_NCHW.mean(dim=(2, 3)))
        return {"head": ctx.discriminator.added["head"](colour_N3).square().mean()}

    def d_loss(self, ctx, step):
        self.held_g = [p.requires_grad for p in ctx.generator.parameters()]
        return self._terms(ctx, step.fake_NCHW)

    def g_loss(self, ctx, step):
        self.held_d = [p.requires_grad for p in ctx.discriminator.parameters()]
        return self._terms(ctx, step.images_NCHW)


def _prepared(seed=3):
    train = TrainSettings(steps=4, batch=4, g_lr=1e-3, d_lr=1e-3)
    data = DataSpec(name="noise", resolution=32)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=seed)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = networks.build("sngan-32", seed=5, **TINY)
    method = Composition([("attaching", Attaching())])
    method.prepare(ctx)
    ctx.ema = make_ema(ctx.generator)
    return ctx, method, Optimizers.build(ctx)


def _advance(ctx, method, optimizers, steps):
    loop = adversarial(ctx, method, optimizers)
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        next(loop)
        ctx.step += 1
        update_ema(ctx.ema, ctx.generator, 0.9, ctx.step, ramp=True)


def _state(ctx, optimizers):
    pairs = {"g": ctx.generator, "d": ctx.discriminator, "ema": ctx.ema, "adam": optimizers}
    return copy.deepcopy({name: one.state_dict() for name, one in pairs.items()})


def test_attached_modules_train_with_their_network_and_are_held_with_it():
    ctx, method, optimizers = _prepared()
    before = _state(ctx, optimizers)
    _advance(ctx, method, optimizers, 1)
    after = _state(ctx, optimizers)
    for role, name in (
        ("g", "added.colour.weight"),
        ("d", "added.head.weight"),
        ("ema", "added.colour.weight"),
    ):
        assert not torch.equal(before[role][name], after[role][name]), name
    part = method.parts[0][1]
    assert not any(part.held_g) and not any(part.held_d)
    assert all(p.requires_grad for network in ctx.networks() for p in network.parameters())
    # G's last backward left nothing in D's attached layer beyond what D's own update had put there
    gradient = ctx.discriminator.added["head"].weight.grad
    assert gradient is not None and torch.isfinite(gradient).all()


def test_attached_modules_survive_a_resume_bit_by_bit():
    straight = _prepared()
    _advance(*straight, 4)
    half = _prepared()
    _advance(*half, 2)
    saved = _state(half[0], half[2])
    ctx, method, optimizers = _prepared()
    for name, network in (("g", ctx.generator), ("d", ctx.discriminator), ("ema", ctx.ema)):
        network.load_state_dict(saved[name])
    optimizers.load_state_dict(saved["adam"])
    ctx.step = 2
    _advance(ctx, method, optimizers, 2)
    wanted, found = _state(straight[0], straight[2]), _state(ctx, optimizers)
    for role in ("g", "d", "ema"):
        for name, value in wanted[role].items():
            assert torch.equal(value, found[role][name]), name


def test_what_is_attached_is_found_by_its_name():
    ctx, *_ = _prepared()
    assert ctx.attached("generator", "colour") is ctx.generator.added["colour"]
    assert ctx.attached("discriminator", "head") is ctx.discriminator.added["head"]
    with pytest.raises(AttributeError, match="colour"):
        ctx.attached("discriminator", "colour")


def test_weights_are_those_of_the_seed_and_the_purpose():
    first, again, other = (_prepared(seed)[0].generator.added["colour"].weight for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_other_parameters_keep_their_place_in_the_optimiser():
    _, _, optimizers = _prepared()
    plain, _ = networks.build("sngan-32", seed=5, **TINY)
    group = optimizers.generator.param_groups[0]["params"]
    shapes = [p.shape for p in plain.parameters()]
    assert [p.shape for p in group[: len(shapes)]] == shapes
    assert len(group) == len(shapes) + 2


@pytest.mark.parametrize("side", ["source", "target"])
def test_transfer_neither_copies_nor_misses_what_is_attached(side):
    attached = _prepared()[0].generator
    plain, _ = networks.build("sngan-32", seed=6, **TINY)
    source, target = (attached, plain) if side == "source" else (plain, attached)
    own = {name: value.clone() for name, value in target.state_dict().items()}
    given = {name: value.clone() for name, value in source.state_dict().items()}
    copy_weights(given, target, "generator")
    for name, value in target.state_dict().items():
        assert torch.equal(value, own[name] if name.startswith("added.") else given[name]), name


@pytest.mark.parametrize("name", ["colour", "Two Words", "a.b", ""])
def test_a_taken_or_impossible_name_is_refused(name):
    ctx, _, _ = _prepared()
    with pytest.raises(UserError, match=f"'{name}' cannot be attached to the generator: the name "):
        ctx.attach("generator", name, nn.Linear(1, 1))
    ctx.attach("discriminator", "colour", nn.Linear(1, 1))
