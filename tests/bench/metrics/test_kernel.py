"""The kernel distance against torch-fidelity, clean-fid and the definition written out."""

import math
import pickle

import numpy as np
import pytest
from cleanfid import fid
from torch_fidelity.metric_kid import kernel_mmd

from bench.errors import UserError
from bench.metrics import kernel
from bench.metrics.kernel import kernel_distance

POLYNOMIAL = {
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,
    "kid_kernel_poly_coef0": 1,
}


def by_definition(x, y):
    def k(a, b):
        return (a.astype(float) @ b.T.astype(float) / a.shape[1] + 1) ** 3

    m, n = len(x), len(y)
    xx, yy = k(x, x), k(y, y)
    within = (xx.sum() - xx.trace()) / (m * (m - 1)) + (yy.sum() - yy.trace()) / (n * (n - 1))
    return within - 2 * k(x, y).mean()


def test_equals_two_libraries_where_they_use_all_pairs(narrow, wide):
    for real, fake in (narrow, wide):
        count = min(len(real), len(fake))
        real, fake = real[:count].astype(float), fake[:count].astype(float)
        value = kernel_distance(real, fake).mean
        # float64 on both sides; sums of up to 360,000 terms cancel to a few per cent of their size
        assert value == pytest.approx(kernel_mmd(real, fake, **POLYNOMIAL), rel=1e-9)
        assert value == pytest.approx(fid.kernel_distance(real, fake, 1, count), rel=1e-9)


def test_unequal_counts_and_any_block(narrow, monkeypatch):
    real, fake = narrow
    expected = by_definition(real, fake)
    assert kernel_distance(real, fake).mean == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(kernel, "BLOCK", 97)
    assert kernel_distance(real, fake).mean == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(real[::-1], np.roll(fake, 5, axis=0)).mean == pytest.approx(expected, rel=1e-9)


def test_no_recorded_score_moves_by_the_way_of_computing(narrow, wide, monkeypatch):
    """By halves and blocks as by whole matrices, and by sums without rounding: to 1e-12 of the kernel's mean."""
    for real, fake in (narrow, wide):
        products = [(a.astype(float) @ b.T.astype(float) / a.shape[1] + 1) ** 3
                    for a, b in ((real, real), (fake, fake), (real, fake))]  # fmt: skip
        within = [math.fsum((own - np.diag(own.diagonal())).ravel()) / (len(own) * (len(own) - 1))
                  for own in products[:2]]  # fmt: skip
        across = math.fsum(products[2].ravel()) / products[2].size
        expected = within[0] + within[1] - 2 * across
        for block, strip in ((kernel.BLOCK, kernel.STRIP), (130, 7), (64, 64)):
            monkeypatch.setattr(kernel, "BLOCK", block)
            monkeypatch.setattr(kernel, "STRIP", strip)
            assert abs(kernel_distance(real, fake).mean - expected) < 1e-12 * across
            assert kernel_distance(real, fake).mean == pytest.approx(expected, rel=1e-12)


def test_standard_error_is_the_jackknife():
    stream = np.random.default_rng(0)
    real, fake = stream.standard_normal((12, 3)), stream.standard_normal((9, 3)) + 0.5
    left = [by_definition(np.delete(real, i, 0), fake) for i in range(12)]
    right = [by_definition(real, np.delete(fake, i, 0)) for i in range(9)]
    variance = 11 * np.var(left) + 8 * np.var(right)
    assert kernel_distance(real, fake).standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_standard_error_is_the_spread_over_new_samples_and_the_mean_is_unbiased():
    stream = np.random.default_rng(0)

    def draw(count, offset):
        return stream.standard_normal((count, 8)) + offset

    apart = [kernel_distance(draw(60, 0), draw(40, 0.7)) for _ in range(300)]
    spread = np.std([estimate.mean for estimate in apart])
    # 300 draws know a standard deviation to 4 %; the jackknife is a little conservative by nature.
    assert 0.9 * spread < np.mean([estimate.standard_error for estimate in apart]) < 1.3 * spread
    # Unbiased: the mean over draws is that of two large samples, whatever the counts.
    large = kernel_distance(draw(6000, 0), draw(6000, 0.7))
    tolerance = 4 * np.hypot(spread / np.sqrt(300), large.standard_error)
    assert np.mean([estimate.mean for estimate in apart]) == pytest.approx(large.mean, abs=tolerance)
    same = [kernel_distance(draw(20, 0), draw(15, 0)).mean for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300) and min(same) < 0


def test_subsets_are_seeded_and_agree_with_all_pairs(narrow):
    real, fake = narrow
    first = kernel_distance(real, fake, subsets=50, subset_size=100, seed=1)
    before = pickle.dumps(np.random.get_state())
    assert first == kernel_distance(real, fake, subsets=50, subset_size=100, seed=1)
    assert pickle.dumps(np.random.get_state()) == before
    assert first != kernel_distance(real, fake, subsets=50, subset_size=100, seed=2)
    assert abs(first.mean - kernel_distance(real, fake).mean) < 5 * first.standard_error
    assert first.standard_error > 2 * kernel_distance(real, fake, subsets=50, subset_size=500).standard_error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subsets": 5, "subset_size": 41}, "subset_size=41 must be 2 to 40"),
        ({"subsets": 5, "subset_size": 1}, "subset_size=1 must be"),
        ({"subsets": 0}, "subsets=0"),
        ({"subset_size": 10}, "give subsets"),
    ],
)
def test_impossible_subsets(arguments, message):
    with pytest.raises(UserError, match=message):
        kernel_distance(np.zeros((50, 3)), np.zeros((40, 3)), **arguments)


def test_bad_features():
    with pytest.raises(UserError, match="fake features have 4 columns"):
        kernel_distance(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(UserError, match="NaN"):
        kernel_distance(np.zeros((5, 3)), np.full((5, 3), np.nan))
