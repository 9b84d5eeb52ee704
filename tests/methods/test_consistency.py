"""CR and bCR against their formulas: the transform image by image, the terms in plain float64."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench.conformance.checks import check_method
from bench.contract.composition import build_method
from bench.contract.context import Batch, DStep
from bench.contract.expression import parse_method
from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.networks.common import sharing

cr = importlib.import_module("bench.methods.consistency")
N, SIDE = 4, 12


class _Draws:
    """A context that only hands out numbers, of a new stream each time."""

    def __init__(self):
        self.count = 0

    def numbers(self, *purpose):
        self.count += 1
        return Numbers.of(torch.Generator().manual_seed(self.count))

    whole, own = staticmethod(sharing.whole), staticmethod(sharing.own)


def _images(seed, count=N, side=SIDE):
    stream = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, generator=stream, dtype=torch.float64) * 2 - 1


def _moved(image, down, right, mirror):
    """One (C, H, W) array mirrored, then moved, pixel by pixel."""
    out = np.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            y, x = row - down, column - right
            if 0 <= y < height and 0 <= x < width:
                out[:, row, column] = image[:, y, width - 1 - x if mirror else x]
    return out


def _which(image, transformed, furthest):
    """The (down, right, mirror) that explain a transformed image; exactly one must."""
    reach = range(-furthest, furthest + 1)
    found = [
        (down, right, mirror)
        for down in reach
        for right in reach
        for mirror in (False, True)
        if np.array_equal(_moved(image, down, right, mirror), transformed)
    ]
    assert len(found) == 1
    return found[0]


def test_transform_is_a_mirror_and_a_shift_of_each_image():
    x = _images(0, count=12)
    out = cr.Consistency(shift=2).transform(_Draws(), x)
    seen = [_which(x[i].numpy(), out[i].numpy(), 2) for i in range(len(x))]
    assert len(set(seen)) > 6 and {mirror for *_, mirror in seen} == {False, True}


def test_shifts_reach_four_pixels_and_half_the_images_are_mirrored():
    """On one bright pixel left of the centre of 17: 4000 draws find every shift and both mirrorings."""
    point = torch.zeros(4000, 3, 17, 17)
    point[:, :, 8, 8] = 1
    shifts = cr.Consistency().transform(_Draws(), point).nonzero()[::3, 2:] - 8
    assert set(shifts[:, 0].tolist()) == set(shifts[:, 1].tolist()) == set(range(-4, 5))
    edge = torch.zeros(4000, 1, 4, 4)
    edge[:, :, 0, 0] = 1
    share = cr.Consistency(shift=0).transform(_Draws(), edge)[:, 0, 0, 3].mean().item()
    assert share == pytest.approx(0.5, abs=0.04)  # five standard deviations of 4000 coin flips
    assert torch.equal(cr.Consistency(shift=0, flip=0.0).transform(_Draws(), edge), edge)
    assert torch.equal(cr.Consistency(shift=0, flip=1.0).transform(_Draws(), edge), edge.flip(3))


class _Linear:
    """A discriminator whose logits are known: w . x + v . condition."""

    def __init__(self, side=SIDE, patches=None):
        stream = torch.Generator().manual_seed(9)
        self.weight = torch.randn(3 * side * side, patches or 1, generator=stream, dtype=torch.float64)
        self.asked = []

    def __call__(self, images, condition):
        self.asked.append((images, condition))
        shared = 0 if condition is None else condition.sum(dim=1, keepdim=True)
        logits = images.flatten(1) @ self.weight + shared
        return logits if logits.shape[1] > 1 else logits[:, 0]


def _step(discriminate, condition=None):
    real, fake = _images(1), _images(2)
    batch = Batch(_images(3), torch.arange(N))
    values = discriminate(real, condition), discriminate(fake, condition)
    return DStep(batch, condition, real, fake, *values, discriminate)


@pytest.mark.parametrize("patches", [None, 5])
def test_terms_are_weighted_mean_squares_over_real_and_fake(patches):
    discriminate = _Linear(patches=patches)
    condition = torch.arange(2.0 * N, dtype=torch.float64).reshape(N, 2)
    step = _step(discriminate, condition)
    losses = cr.Consistency(weight=10.0, fake_weight=3.0).d_loss(_Draws(), step)
    assert list(losses) == ["real", "fake"]
    weight = discriminate.weight.numpy()
    for (name, images), (moved, given) in zip(
        {"real": step.real_NCHW, "fake": step.fake_NCHW}.items(), discriminate.asked[2:], strict=True
    ):
        assert given is condition
        places = [_which(images[i].numpy(), moved[i].numpy(), 4) for i in range(N)]
        gaps = [(images[i].numpy() - _moved(images[i].numpy(), *places[i])).reshape(-1) @ weight for i in range(N)]
        expected = {"real": 10.0, "fake": 3.0}[name] * np.mean(np.square(gaps))
        assert losses[name].item() == pytest.approx(expected, rel=1e-12)


def test_plain_cr_leaves_the_fakes_alone_and_weight_zero_leaves_all():
    discriminate = _Linear()
    step = _step(discriminate)
    assert list(cr.Consistency().d_loss(_Draws(), step)) == ["real"]
    assert len(discriminate.asked) == 3 and discriminate.asked[2][1] is None
    assert cr.Consistency(weight=0.0).d_loss(_Draws(), step) == {}


def test_enters_the_update_in_proportion_to_its_weight(assert_proportional):
    assert_proportional("consistency(weight={weight}, fake_weight={weight}) + baseline")


@pytest.mark.slow
def test_conforms():
    found = check_method("consistency(fake_weight=10) + disp(prior_size=32)")
    assert [finding for finding in found if not finding.passed] == []


def test_bad_settings_are_named():
    for text, error in {
        "weight=-1": "weight is -1",
        "fake_weight=-0.5": "fake_weight is -0.5",
        "shift=-4": "shift is -4",
        "flip=1.5": "flip is 1.5, must be a probability",
    }.items():
        with pytest.raises(UserError, match=error):
            build_method(parse_method(f"consistency({text})"))
