"""CMMD against scikit-learn's kernel in the published formula."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize

from bench.errors import UserError
from bench.metrics.gaussian_kernel import gaussian_mmd


def published(real, fake):
    x, y = normalize(real.astype(float)), normalize(fake.astype(float))
    means = [rbf_kernel(a, b, gamma=1 / 200).mean() for a, b in ((x, x), (y, y), (x, y))]
    return 1000 * (means[0] + means[1] - 2 * means[2])


def test_the_formula_on_real_features_and_any_block(narrow, wide, monkeypatch):
    for real, fake in (narrow, wide):
        # kernels near 1 of 16 digits, times 1000
        assert gaussian_mmd(real, fake) == pytest.approx(published(real, fake), abs=1e-10)
    monkeypatch.setattr("bench.metrics.gaussian_kernel.ROWS", 77)
    assert gaussian_mmd(*narrow) == pytest.approx(published(*narrow), abs=1e-10)
    assert gaussian_mmd(narrow[0][::-1] * 5, np.roll(narrow[1], 3, axis=0)) == pytest.approx(
        published(*narrow), abs=1e-6
    )


def test_two_points_in_closed_form():
    """Opposite directions, at a squared distance of 4; vectors of length 0 are at the centre, 1 from both."""
    east, west = np.repeat([[3.0, 0.0]], 5, axis=0), np.repeat([[-0.2, 0.0]], 4, axis=0)
    assert gaussian_mmd(east, west) == pytest.approx(2000 * (1 - np.exp(-4 / 200)), rel=1e-12)
    assert gaussian_mmd(east, np.zeros((3, 2))) == pytest.approx(2000 * (1 - np.exp(-1 / 200)), rel=1e-12)
    assert gaussian_mmd(east, east) == 0
    with pytest.raises(UserError, match="columns"):
        gaussian_mmd(east, np.ones((4, 3)))


def test_worse_generators_score_worse(narrow):
    real, noisy = narrow
    floor = gaussian_mmd(real[:400], real[400:])
    few = np.repeat(real[400:405], 80, axis=0)
    assert (
        0
        < 2 * floor
        < min(gaussian_mmd(real[:400], noisy[:400]), gaussian_mmd(real[:400], few), gaussian_mmd(real[:400], few[:80]))
    )
