"""DiffAugment's operations against their formulas, one image and one pixel at a time."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from bench.contract.composition import build_method
from bench.contract.context import Batch, DStep
from bench.contract.expression import parse_method
from bench.contract.numbers import Numbers
from bench.errors import UserError
from bench.networks.common import sharing

da = importlib.import_module("bench.methods.diffaugment")
N, H, W = 5, 6, 8


def _images():
    return torch.rand(N, 3, H, W, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def _parameters(low, high):
    return torch.rand(N, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * (high - low) + low


def test_brightness_is_a_shift_of_each_image():
    x, b = _images(), _parameters(-0.5, 0.5)
    out = da.brightness(x, b)
    for i in range(N):
        np.testing.assert_allclose(out[i].numpy(), x[i].numpy() + b[i].item(), atol=1e-15)


def test_saturation_scales_the_distance_from_the_pixel_mean():
    x, s = _images(), _parameters(0, 2)
    out = da.saturation(x, s)
    for i in range(N):
        mean = x[i].numpy().mean(axis=0)
        np.testing.assert_allclose(out[i].numpy(), (x[i].numpy() - mean) * s[i].item() + mean, atol=1e-15)


def test_contrast_scales_the_distance_from_the_image_mean():
    x, c = _images(), _parameters(0.5, 1.5)
    out = da.contrast(x, c)
    for i in range(N):
        mean = x[i].numpy().mean()
        np.testing.assert_allclose(out[i].numpy(), (x[i].numpy() - mean) * c[i].item() + mean, atol=1e-15)


def test_translation_moves_pixels_and_fills_with_zeros():
    x = _images()
    down, right = torch.tensor([0, 1, -2, 6, 3]), torch.tensor([0, -1, 3, 0, -8])
    out = da.translate(x, down, right)
    for i in range(N):
        for row in range(H):
            for column in range(W):
                y, z = row - int(down[i]), column - int(right[i])
                inside = 0 <= y < H and 0 <= z < W
                expected = x[i, :, y, z] if inside else torch.zeros(3, dtype=x.dtype)
                assert torch.equal(out[i, :, row, column], expected)


def test_cutout_zeroes_one_square_that_may_hang_over():
    x = _images()
    row, column = torch.tensor([0, 3, 6, 2, 5]), torch.tensor([0, 4, 8, 7, 1])
    out = da.cutout(x, row, column)
    assert (da.cutout_size(H), da.cutout_size(W)) == (3, 4)  # floor(s / 2 + 1/2)
    for i in range(N):
        top, left = int(row[i]) - 3 // 2, int(column[i]) - 4 // 2
        for r in range(H):
            for c in range(W):
                cut = top <= r < top + 3 and left <= c < left + 4
                assert torch.equal(out[i, :, r, c], x[i, :, r, c] * (0 if cut else 1))


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("brightness", (torch.tensor([0.3, -0.2]),)),
        ("saturation", (torch.tensor([0.4, 1.7]),)),
        ("contrast", (torch.tensor([0.6, 1.4]),)),
        ("translate", (torch.tensor([1, -2]), torch.tensor([0, 2]))),
        ("cutout", (torch.tensor([1, 4]), torch.tensor([3, 0]))),
    ],
)
def test_gradients_equal_finite_differences(operation, parameters):
    x = _images()[:2, :, :4, :5].clone().requires_grad_(True)
    values = [p.double() if p.is_floating_point() else p for p in parameters]
    torch.autograd.gradcheck(lambda images: getattr(da, operation)(images, *values), x)


class _Draws:
    """A context that only hands out numbers."""

    def __init__(self):
        self.count, self.draws = 0, {}

    def numbers(self, *purpose):
        self.count += 1
        return Numbers.of(torch.Generator().manual_seed(self.count))

    whole, own = staticmethod(sharing.whole), staticmethod(sharing.own)


def test_parameters_have_the_published_ranges():
    """On probes that reveal the drawn numbers: 4000 draws come within 2 % of both ends of a range."""
    x = torch.zeros(4000, 3, 16, 16)
    shift = da.DiffAugment(policy="color").augment(_Draws(), x)[:, 0, 0, 0]
    assert -0.5 <= shift.min() < -0.49 and 0.49 < shift.max() <= 0.5
    probe = torch.zeros(4000, 3, 16, 16)
    probe[:, 0], probe[:, 1] = (
        1,
        -1,
    )  # mean 0 in every pixel: difference = 2 * saturation * contrast
    out = da.DiffAugment(policy="color").augment(_Draws(), probe)
    product = (out[:, 0, 0, 0] - out[:, 1, 0, 0]) / 2
    assert 0 <= product.min() < 0.02 and 2.8 < product.max() <= 3
    assert product.mean().item() == pytest.approx(1, abs=0.04)  # sd of the mean: 0.01
    point = torch.zeros(4000, 3, 16, 16)
    point[:, :, 8, 8] = 1
    moved = da.DiffAugment(policy="translation").augment(_Draws(), point).nonzero()[::3, 2:] - 8
    assert set(moved.flatten().tolist()) == set(range(-2, 3))  # floor(16 / 8 + 1/2) = 2
    cut = 1 - da.DiffAugment(policy="cutout").augment(_Draws(), torch.ones(4000, 1, 16, 16))[:, 0]
    rows = [int(one.nonzero()[:, 0].min()) for one in cut]
    tall = [len(one.any(1).nonzero()) for one in cut]
    assert set(rows) == set(range(13)) and set(tall) == set(range(4, 9))  # centres 0..16, 8 rows each


def test_policy_order_and_independent_images():
    x = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    one = da.DiffAugment(policy="cutout,color").augment(_Draws(), x)
    other = da.DiffAugment(policy="color,cutout").augment(_Draws(), x)
    assert (other == 0).flatten(1).any(1).all() and not torch.equal(one, other)
    same = da.DiffAugment().augment(_Draws(), x[:1].expand(6, -1, -1, -1))
    assert not any(torch.equal(same[0], same[i]) for i in range(1, 6))


def test_consistency_is_the_weighted_mean_square_of_logit_differences():
    images, logits = torch.rand(3, 3, 4, 4), torch.tensor([1.0, -2.0, 0.5])
    clean = torch.tensor([0.0, 1.0, 0.5])
    asked = []

    def discriminate(x, condition):
        asked.append((x, condition))
        return clean

    condition = torch.ones(3, 2)
    shown = images + 2  # as a part's `reals` shows the batch: T(x) below was made of it
    batch = Batch(images, torch.arange(3))
    step = DStep(batch, condition, shown + 1, images, logits, logits, discriminate, raw_NCHW=shown)
    value = da.DiffAugment(consistency=10.0).d_loss(_Draws(), step)["consistency"]
    assert value.item() == pytest.approx(10 * (1 + 9 + 0) / 3)
    assert asked[0][0] is shown and asked[0][1] is condition
    assert da.DiffAugment(consistency=0).d_loss(_Draws(), step) == {}


def test_consistency_enters_the_update_in_proportion_to_its_weight(assert_proportional):
    assert_proportional("diffaugment(consistency={weight}) + baseline")


def test_bad_settings_are_named():
    with pytest.raises(UserError, match="unknown policy group 'colour'; did you mean 'color'"):
        build_method(parse_method('diffaugment(policy="colour,cutout")'))
    with pytest.raises(UserError, match="consistency is -1"):
        build_method(parse_method("diffaugment(consistency=-1)"))
