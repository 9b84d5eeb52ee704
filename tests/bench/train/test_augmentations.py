"""A drawn augmentation can be had again, on other images, and its draws can be seen and inverted."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench import networks
from bench.contract.composition import Composition, build_method
from bench.contract.expression import parse_method
from bench.spec.run import DataSpec, RunSpec, TrainSettings
from bench.train import Context, Method
from bench.train.adversarial import adversarial
from bench.train.optimizers import Optimizers
from bench.train.values import floats

translate = importlib.import_module("bench.methods.diffaugment").translate
affine = importlib.import_module("bench.methods.common.affine")
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
ALL = "diffaugment(consistency=0) + ada-lite"


def run(augmentation, *parts, steps=2, micro_batch=None):
    """Two steps of a tiny network; the context and the logs."""
    train = TrainSettings(steps=steps, batch=4, d_steps=2, g_lr=1e-3, d_lr=1e-3, micro_batch=micro_batch)
    data = DataSpec(name="noise", resolution=32)
    spec = RunSpec(method=(), network=None, data=data, train=train, protocol=None, seed=11)
    ctx = Context(spec, IMAGES, None, torch.device("cpu"))
    ctx.generator, ctx.discriminator = networks.build("sngan-32", seed=5, z_dim=8, g_width=8, d_width=8)
    augmenting = build_method(parse_method(augmentation)).parts
    for name, part in augmenting:
        if name == "ada-lite":
            part.p.fill_(0.8)
    method = Composition([*augmenting, *((type(one).__name__.lower(), one) for one in parts)])
    ctx.discriminator = method.discriminator(ctx, ctx.discriminator)
    loop, logs = adversarial(ctx, method, Optimizers.build(ctx)), []
    for _ in range(steps):
        ctx.begin_step(ctx.step)
        logs.append(floats(next(loop)))
        ctx.step += 1
    return ctx, logs


class Replaying(Method):
    """Asks for every augmentation again, in both updates."""

    def __init__(self):
        self.asked = 0

    def d_loss(self, ctx, step):
        clean_NCHW = step.batch.images_NCHW
        assert torch.equal(step.real_augmentation(clean_NCHW), step.real_NCHW)
        assert not torch.equal(step.fake_augmentation(clean_NCHW), step.real_NCHW)  # drawn anew for the fakes
        assert not torch.equal(step.real_NCHW, clean_NCHW)
        self.asked += 1
        return {}

    def g_loss(self, ctx, step):
        seen_NCHW = step.augmentation(step.images_NCHW)
        assert seen_NCHW.requires_grad
        logits_N = step.discriminate(seen_NCHW, step.d_condition_NK)
        assert torch.equal(logits_N.detach(), step.logits_N.detach())
        self.asked += 1
        return {}


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_the_same_again_for_other_images(micro_batch):
    part = Replaying()
    run(ALL, part, micro_batch=micro_batch)
    assert part.asked == 2 * (2 + 1) * (1 if micro_batch is None else 2)


def test_to_ask_again_changes_no_other_random_number():
    assert run(ALL, Replaying())[1] == run(ALL)[1]


class Inverting(Method):
    """Moves the translated real images back, and checks the draws of both parts."""

    def d_loss(self, ctx, step):
        draws = step.real_augmentation.draws
        down_N, right_N = draws["diffaugment/translation_2N"]
        assert down_N.abs().max() <= 4 and right_N.abs().max() <= 4
        back_NCHW = translate(step.real_NCHW, -down_N, -right_N)
        inner = slice(4, 28)  # no shift is larger than an eighth of the side
        assert torch.equal(back_NCHW[..., inner, inner], step.batch.images_NCHW[..., inner, inner])
        assert not torch.equal(draws["diffaugment/translation_2N"], step.fake_augmentation.draws[NAME])
        return {}

    def g_loss(self, ctx, step):
        assert list(step.augmentation.draws) == [NAME]
        return {}


NAME = "diffaugment/translation_2N"


def test_a_translation_can_be_undone_from_its_draws():
    run("diffaugment(policy=translation, consistency=0)", Inverting())


class Matrices(Method):
    def d_loss(self, ctx, step):
        self.draws = step.real_augmentation.draws
        warped_NCHW = affine.warp(step.batch.images_NCHW, self.draws["ada-lite/geometry_N33"])
        colour = importlib.import_module("bench.methods.common.colour")
        again_NCHW = colour.recolour(warped_NCHW, self.draws["ada-lite/colour_N44"])
        assert torch.equal(again_NCHW, step.real_NCHW)
        return {}


def test_ada_shows_the_matrices_that_it_has_applied():
    part = Matrices()
    run("ada-lite", part)
    assert {name: tuple(value.shape) for name, value in part.draws.items()} == {
        "ada-lite/geometry_N33": (4, 3, 3),
        "ada-lite/colour_N44": (4, 4, 4),
    }


def test_every_group_of_diffaugment_shows_its_draws():
    class Seen(Method):
        def d_loss(self, ctx, step):
            self.draws = {name: tuple(one.shape) for name, one in step.fake_augmentation.draws.items()}
            return {}

    part = Seen()
    run("diffaugment", part)
    assert part.draws == {
        "diffaugment/color_3N": (3, 4),
        "diffaugment/translation_2N": (2, 4),
        "diffaugment/cutout_2N": (2, 4),
    }


def test_another_number_of_images_is_refused():
    class Fewer(Method):
        def d_loss(self, ctx, step):
            step.real_augmentation(step.real_NCHW[:3])
            return {}

    with pytest.raises(ValueError, match="drawn for 4 images, not for 3"):
        run("diffaugment", Fewer())


class BeforeAndAfter(Method):
    def d_loss(self, ctx, step):
        assert torch.equal(step.fake_augmentation(step.raw_fake_NCHW), step.fake_NCHW)
        assert not step.raw_fake_NCHW.requires_grad and not torch.equal(step.raw_fake_NCHW, step.fake_NCHW)
        return {}


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_d_hooks_see_the_generated_images_before_their_augmentation(micro_batch):
    run(ALL, BeforeAndAfter(), micro_batch=micro_batch)


class ToldBrightness(Method):
    """Adds to an image what D is told of it."""

    def __init__(self):
        self.told = []

    def d_condition(self, ctx, batch, condition_NK):
        return torch.rand(len(batch.index_N), 1, generator=ctx.stream("told"))

    def discriminator(self, ctx, discriminator):
        return Deaf(discriminator)

    def augment(self, ctx, images_NCHW):
        self.told.append(ctx.d_condition_NK)
        return images_NCHW + ctx.d_condition_NK[:, :, None, None]

    def d_loss(self, ctx, step):
        brighter = step.condition_NK[:, :, None, None]
        assert torch.equal(step.real_NCHW, step.raw_NCHW + brighter)
        assert torch.equal(step.fake_NCHW, step.raw_fake_NCHW + brighter)
        # also where it is applied again, while another condition is at work
        ctx.d_condition_NK = torch.zeros(len(step.real_NCHW), 1)
        assert torch.equal(step.real_augmentation(step.raw_NCHW), step.real_NCHW)
        ctx.d_condition_NK = None
        return {}

    def g_loss(self, ctx, step):
        seen_NCHW = step.augmentation(step.images_NCHW)
        assert torch.equal(seen_NCHW, step.images_NCHW + step.d_condition_NK[:, :, None, None])
        assert step.real_logits().shape == (len(step.images_NCHW),) and ctx.d_condition_NK is None
        return {}


class Deaf(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images_NCHW, condition_NK):
        return self.inner(images_NCHW)


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_an_augmentation_sees_what_d_is_told_of_its_images(micro_batch):
    part = ToldBrightness()
    run("unconditional", part, micro_batch=micro_batch)
    assert {len(told) for told in part.told} == {micro_batch or 4} and len(part.told) > 10
