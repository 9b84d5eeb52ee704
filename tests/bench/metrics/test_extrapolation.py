"""FD at infinitely many images: against a line fitted by scikit-learn, and the truth that it is after."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from bench import seeds
from bench.errors import UserError
from bench.metrics import frechet_distance
from bench.metrics.extrapolation import frechet_infinity, part_sizes
from bench.metrics.frechet import fit_gaussian, gaussian_from_moments


def test_the_sizes_are_the_authors():
    assert part_sizes(50_000).tolist() == np.linspace(5000, 50_000, 15).astype("int32").tolist()
    assert part_sizes(20)[[0, -1]].tolist() == [2, 20]


def test_the_intercept_of_a_line_through_parts(narrow):
    real, fake = narrow
    stream, sizes = seeds.numpy_stream(0, "frechet infinity"), part_sizes(len(fake))
    values = [frechet_distance(real, fake[stream.permutation(len(fake))[:size]]) for size in sizes]
    line = LinearRegression().fit(1 / sizes[:, None], values)
    # the same parts in another order of summation: distances are good to 1e-7
    assert frechet_infinity(real, fake) == pytest.approx(line.intercept_, rel=1e-5)
    assert frechet_infinity(fit_gaussian(real), fake) == frechet_infinity(real, fake)


def test_the_bias_of_few_images_goes():
    """Against the true moments of equal distributions FD is all bias; the intercept has a small part of it left."""
    truth, draws = gaussian_from_moments(np.zeros(8), np.eye(8)), 20
    stream = np.random.default_rng(0)
    sets = [stream.standard_normal((1000, 8)) for _ in range(draws)]
    plain, extrapolated = ([of(truth, each) for each in sets] for of in (frechet_distance, frechet_infinity))
    # 8 / N of the mean, and 8 * 9 / (4 N) of the covariance: 0.026
    assert np.mean(plain) == pytest.approx(0.026, rel=0.1)
    assert abs(np.mean(extrapolated)) < 0.25 * np.mean(plain)


def test_worse_generators_score_worse_and_few_images_are_refused(narrow):
    real, noisy = narrow
    floor = frechet_infinity(real[:400], real[400:])
    assert floor < 0.5 * frechet_infinity(real[:400], noisy[:400])
    assert floor < 0.5 * frechet_infinity(real[:400], np.repeat(real[400:410], 40, axis=0))
    with pytest.raises(UserError, match="at least 20 generated features, not 19"):
        frechet_infinity(real, noisy[:19])
    with pytest.raises(UserError, match="points=1 must be at least 2"):
        frechet_infinity(real, noisy, points=1)
