"""Distributions and Bartlett's test against scipy.stats, whose own calls take a hundred times as long."""

import math

import numpy as np
import pytest
from scipy import stats

from bench import seeds
from bench.stats.distributions import chi2_above, chi2_below, chi2_point, t_above, t_point
from bench.stats.intervals import bartlett

DF = pytest.mark.parametrize("df", [1.0, 2.5, 4.0, 30.0, 1e6])


def values(name, df):
    return seeds.numpy_stream(0, "distributions", name, df)


@pytest.mark.parametrize("df", [1.0, 2.5, 4.0, 30.0, 1e6, math.inf])
def test_students_t_is_scipys_to_the_last_bit(df):
    t = [*values("t", df).normal(0, 3, 100), 0.0, 1e-300, 1e300, math.inf, -math.inf]
    assert [t_above(one, df) for one in t] == stats.t.sf(t, df).tolist()
    p = [*values("p", df).random(100), 1e-13, 0.5, 0.975]
    assert [t_point(one, df) for one in p] == stats.t.ppf(p, df).tolist()


@DF
def test_chi_square_is_scipys_to_the_last_bit(df):
    x = [*values("x", df).exponential(df, 100), 0.0, 1e-300, 1e9, math.inf]
    assert [chi2_below(one, df) for one in x] == stats.chi2.cdf(x, df).tolist()
    assert [chi2_above(one, df) for one in x] == stats.chi2.sf(x, df).tolist()
    p = [*values("p", df).random(100), 0.025, 0.975]
    assert [chi2_point(one, df) for one in p] == stats.chi2.ppf(p, df).tolist()


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5, 4), (4,) * 13])
def test_bartletts_test_is_scipys(sizes):
    """To rounding errors, which the logs of the variances magnify."""
    stream = values("bartlett", len(sizes))
    for scale in (1e-8, 1.0, 1e8):
        for _ in range(10):
            samples = [stream.normal(0, scale * stream.uniform(0.2, 5), size) for size in sizes]
            assert bartlett(samples) == pytest.approx(stats.bartlett(*samples).pvalue, rel=1e-9, abs=1e-15)
    same = [np.array([1.0, 3.0, 2.0]) + shift for shift in range(3)]
    assert bartlett(same) == 1.0
