"""MIND against torch-fidelity's formula written out, scipy's transport and closed forms."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance_nd

from bench import seeds
from bench.errors import UserError
from bench.metrics.sliced import monge_inception_distance


def by_definition(real, fake, directions):
    """Equal counts: sorted projections, place by place."""
    width = real.shape[1]
    units = seeds.numpy_stream(0, "sliced distance", width).standard_normal((directions, width))
    total = 0.0
    for unit in units:
        unit = unit / np.sqrt((unit**2).sum())
        total += ((np.sort(real.astype(float) @ unit) - np.sort(fake.astype(float) @ unit)) ** 2).mean()
    return 3 * width * total / directions


def test_the_formula_on_real_features(narrow, wide):
    for real, fake in (narrow, wide):
        count = min(len(real), len(fake))
        assert monge_inception_distance(real[:count], fake[:count], 40) == pytest.approx(
            by_definition(real[:count], fake[:count], 40), 1e-9
        )


@pytest.mark.parametrize(("n", "m"), [(7, 7), (12, 5), (5, 12), (1000, 301)])
def test_other_counts_are_still_optimal_transport(n, m):
    """Repeating every real m times and every fake n times changes no distribution, and makes the counts equal."""
    stream = np.random.default_rng(n)
    real, fake = stream.standard_normal((n, 3)), stream.standard_normal((m, 3)) + 0.5
    repeated = np.repeat(real, m, axis=0), np.repeat(fake, n, axis=0)
    assert monge_inception_distance(real, fake, 20) == pytest.approx(by_definition(*repeated, 20), rel=1e-9)


def test_one_dimension_is_the_distance_itself():
    """One direction is all there is: 3 D W2^2, and W2 of a shift is the shift; W1 by scipy bounds it from below."""
    stream = np.random.default_rng(0)
    real, fake = stream.standard_normal((50, 1)), 2 * stream.standard_normal((50, 1))
    assert monge_inception_distance(real, real + 0.7, 5) == pytest.approx(3 * 0.49, rel=1e-12)
    assert monge_inception_distance(real, fake, 5) > 3 * wasserstein_distance_nd(real, fake) ** 2


def test_gaussians_in_closed_form():
    """Isotropic: W2^2 along every direction is (u'shift)^2 + (s - t)^2, in the mean |shift|^2 / D + (s - t)^2."""
    stream = np.random.default_rng(1)
    shift = np.zeros(8)
    shift[0] = 1
    real, fake = stream.standard_normal((4000, 8)), 1.5 * stream.standard_normal((4000, 8)) + shift
    # 600 directions know the mean of (u'shift)^2 to 4 %, which is a third; 4,000 samples each deviation to 1 %
    assert monge_inception_distance(real, fake, 600) == pytest.approx(3 * 8 * (1 / 8 + 0.25), rel=0.08)


def test_worse_generators_score_worse(pictures, narrow, worse):
    """Noise, dropped modes, copies of a few, one image: each above the floor of the same counts."""
    real, noisy = narrow
    fresh, real = real[400:], real[:400]
    floor = monge_inception_distance(real, fresh, 200)
    bad = [
        noisy[:400],
        fresh[np.argsort(fresh[:, 0])][:200],
        np.repeat(fresh[:10], 40, axis=0),
        fresh[:1].repeat(400, 0),
    ]
    values = [monge_inception_distance(real, fake, 200) for fake in bad]
    assert floor * 1.5 < min(values)
    assert monge_inception_distance(real, real, 200) == 0


def test_order_blocks_and_digits_do_not_matter(narrow, monkeypatch):
    real, fake = narrow
    value = monge_inception_distance(real, fake, 100)
    assert monge_inception_distance(real[::-1], np.roll(fake, 7, axis=0), 100) == pytest.approx(value, rel=1e-12)
    monkeypatch.setattr("bench.metrics.sliced.AT_ONCE", 33)
    monkeypatch.setattr("bench.metrics.sliced.ROWS", 100)
    assert monge_inception_distance(real, fake, 100) == pytest.approx(value, rel=1e-12)
    with pytest.raises(UserError, match="directions=0"):
        monge_inception_distance(real, fake, 0)
    with pytest.raises(UserError, match="fake features hold NaN"):
        monge_inception_distance(real, fake * np.nan)
