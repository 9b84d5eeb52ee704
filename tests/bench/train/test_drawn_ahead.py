"""Numbers that lie ready are those that would be drawn when they are asked for, whatever was guessed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import seeds
from bench.contract.context import Context
from bench.contract.numbers import Numbers
from bench.spec.run import DataSpec, NetworkSpec, RunSpec, TrainSettings
from bench.train.batches import Batches
from bench.train.drawn_ahead import drawing_ahead

STEPS = 40


@pytest.fixture
def ctx():
    train = TrainSettings(steps=STEPS, batch=4, g_lr=1e-3, d_lr=1e-3)
    spec = RunSpec(
        method=(), network=NetworkSpec(name="sngan-32"), data=DataSpec(name="none", resolution=32),
        train=train, protocol=None, seed=3,
    )  # fmt: skip
    return Context(spec, np.zeros((4, 2, 2, 3), np.uint8), None, torch.device("cpu"))


def asked(ctx, step):
    """What a step of a method with lazy terms asks for."""
    ctx.begin_step(step)
    given = [ctx.numbers("latents").normal(4, 8), ctx.numbers("latents").normal(4, 8)]
    moves = ctx.numbers("moves")
    given += [moves.uniform(4), moves.integers(-3, 4, 2, 4), moves.permutation(7), moves.normal(3)]
    if step % 4 == 0:
        given.append(ctx.numbers("lazy").normal(5 if step < 30 else 6))  # once it asks for another number
    return given


def test_ready_or_not_the_numbers_are_the_same(ctx):
    expected = [asked(ctx, step) for step in range(STEPS)]
    with drawing_ahead(ctx, STEPS) as supply:
        found = [asked(ctx, step) for step in range(STEPS)]
        misses = supply.missed
    for one, other in zip(expected, found, strict=True):
        assert all(torch.equal(*pair) and pair[0].dtype == pair[1].dtype for pair in zip(one, other, strict=True))
    # Of 250: two steps until a step is known, and every fourth step's until both chunks planned without it are over.
    assert misses <= 2 * 6 + 10 and ctx.supply is None


def test_a_step_out_of_order_has_its_own_numbers(ctx):
    expected = {step: asked(ctx, step) for step in (3, 4, 5, 20, 7)}
    with drawing_ahead(ctx, STEPS):
        for step, one in expected.items():
            assert all(map(torch.equal, one, asked(ctx, step)))


def test_numbers_begin_again_and_go_on_behind_what_lay_ready():
    class Half:
        """Has the first draw ready, and no other."""

        def begin_step(self, step):
            raise NotImplementedError

        def take(self, key, place, draw):
            return draw.drawn(seeds.torch_stream(1, "x")) if place == 0 else None

    numbers = Numbers(lambda: seeds.torch_stream(1, "x"), torch.device("cpu"), "key", Half())
    assert not numbers.used
    stream = seeds.torch_stream(1, "x")
    expected = [torch.randn(3, generator=stream), torch.rand(2, generator=stream), torch.randn(20, generator=stream)]
    for one in (numbers, numbers.again()):
        found = [one.normal(3), one.uniform(2), one.normal(20)]
        assert all(map(torch.equal, expected, found)) and one.used


@pytest.mark.parametrize("flip", [False, True])
def test_batches_of_a_resident_set_are_the_same(flip):
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3)).astype(np.uint8)
    usual, resident = (Batches(images, 3, 5, flip=flip, resident=where) for where in (False, True))
    for position in (0, 1, 2, 70, 3):  # beyond what is fetched at once, and back
        one, other = usual.at(position), resident.at(position)
        assert torch.equal(one.images_NCHW, other.images_NCHW) and torch.equal(one.index_N, other.index_N)
        assert one.images_NCHW.stride() == other.images_NCHW.stride()
