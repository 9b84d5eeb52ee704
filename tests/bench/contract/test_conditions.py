"""Scales of condition tables, one-hot tables, and the two ways to draw from them."""

from __future__ import annotations

import pytest
import torch

from bench.contract.conditions import OneHots, pure, sampling_named, scaled, vicinal_mix
from bench.errors import UserError


def _vectors(count=200, size=16):
    stream = torch.Generator().manual_seed(0)
    return torch.randn(count, size, generator=stream) * 3 + 5


def test_rms_scale_is_centred_with_unit_root_mean_square():
    table = scaled(_vectors(), "rms")
    assert torch.allclose(table.mean(0), torch.zeros(16), atol=1e-6)
    assert table.square().mean().sqrt().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("scale", "norm"), [("unit", 1.0), (4.0, 4.0), (22, 22.0)])
def test_numbers_are_mean_norms(scale, norm):
    table = scaled(_vectors(), scale)
    assert table.norm(dim=1).mean().item() == pytest.approx(norm, rel=1e-5)
    assert torch.allclose(table.mean(0), torch.zeros(16), atol=1e-5 * norm)


def test_one_number_scales_all_rows():
    centred = _vectors() - _vectors().mean(0)
    ratio = scaled(_vectors(), "rms") / centred
    assert ratio.std() / ratio.mean() < 1e-5


def test_raw_is_untouched():
    assert torch.equal(scaled(_vectors(), "raw"), _vectors())


@pytest.mark.parametrize("scale", ["Rms", 0, -1.0, True])
def test_unknown_scale_is_refused(scale):
    with pytest.raises(UserError, match="must be rms, unit, raw or a positive mean norm"):
        scaled(_vectors(), scale)


def test_equal_vectors_cannot_be_centred():
    with pytest.raises(UserError, match="cannot be centred"):
        scaled(torch.ones(3, 4), "rms")


def test_one_hots_are_rows_of_a_scaled_identity():
    index = torch.tensor([2, 0, 2])
    assert torch.equal(OneHots(4, norm=2.5)[index], (torch.eye(4) * 2.5)[index])
    assert len(OneHots(10**6)) == 10**6


def test_mix_lies_on_the_segment_between_two_rows_and_its_share_is_uniform():
    table = torch.eye(5)  # a mixture of unit vectors shows its weights
    mixed = vicinal_mix(table, 20_000, torch.Generator().manual_seed(1))
    assert torch.allclose(mixed.sum(1), torch.ones(20_000), atol=1e-6)
    assert (mixed >= 0).all() and ((mixed > 0).sum(1) <= 2).all()
    proper = mixed[(mixed > 0).sum(1) == 2]
    assert len(proper) / 20_000 == pytest.approx(0.8, abs=0.015)  # sd of the share: 0.003
    # Given two different rows, the larger weight is uniform on (1/2, 1): mean 3/4, variance 1/48.
    larger = proper.max(1).values
    assert larger.mean().item() == pytest.approx(0.75, abs=0.006)  # sd of the mean: 0.0011
    assert larger.var().item() == pytest.approx(1 / 48, rel=0.05)
    assert torch.allclose(mixed.mean(0), torch.full((5,), 0.2), atol=0.012)


def test_pure_draws_rows_alike():
    drawn = pure(torch.eye(4), 8000, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.sum(1), torch.ones(8000))
    assert torch.allclose(drawn.mean(0), torch.full((4,), 0.25), atol=0.03)  # sd 0.005


def test_draws_depend_on_the_stream_and_work_on_one_hots():
    first = vicinal_mix(OneHots(3, 2.0), 6, torch.Generator().manual_seed(4))
    again = vicinal_mix(torch.eye(3) * 2, 6, torch.Generator().manual_seed(4))
    assert torch.equal(first, again)


def test_unknown_sampling_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'mix'"):
        sampling_named("mixx")
